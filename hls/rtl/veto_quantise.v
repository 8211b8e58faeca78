// SPDX-License-Identifier: Apache-2.0
// A value of a state as an integer of 16 or 24 bits, in units that the state's largest exponent gives, two clocks later.
module veto_quantise (
	input wire clk,
	input wire [31:0] bits, // fp32
	input wire [7:0] emax, // largest exponent field of the state, at least 1
	input wire is_long, // 24 bits, else 16
	output reg signed [23:0] q
);
	wire is_normal = bits[30:23] != 0;
	wire [23:0] significand = {is_normal, bits[22:0]};
	// From 25 on nothing is left of a significand.
	wire [8:0] shift = {1'b0, emax} - {1'b0, is_normal ? bits[30:23] : 8'd1} + (is_long ? 9'd1 : 9'd9);
	wire [4:0] by = shift > 9'd25 ? 5'd25 : shift[4:0];

	reg [47:0] shifted; // Q25
	reg is_negative, long;
	wire rounds_up = shifted[24] && (shifted[23:0] != 0 || shifted[25]);
	wire [23:0] rounded = {1'b0, shifted[47:25]} + {23'd0, rounds_up};
	wire [23:0] limited = long ? (rounded[23] ? 24'h7fffff : rounded) : rounded[15] ? 24'h7fff : rounded;
	always @(posedge clk) begin
		shifted <= {significand, 24'd0} >> (by - 5'd1);
		is_negative <= bits[31];
		long <= is_long;
		q <= is_negative ? -limited : limited;
	end
endmodule
