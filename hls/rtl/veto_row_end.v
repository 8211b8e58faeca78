// SPDX-License-Identifier: Apache-2.0
// From the sum of a row's products to what the row gives: limit(R(sum * mant, s) + addend), five clocks later.
module veto_row_end (
	input wire clk,
	input wire signed [61:0] sum,
	input wire has_scale, // else mant is 1; a scaled sum is below 2^44
	input wire [15:0] mant,
	input wire signed [17:0] s,
	input wire signed [33:0] addend,
	input wire is_part, // of a distance: without the addend, within +-2^30, else within 32 bits
	output reg signed [31:0] z
);
	localparam ROUND = 3; // clocks of veto_round
	wire signed [61:0] scale = {46'd0, mant};
	reg signed [61:0] v;
	reg signed [17:0] shift;
	wire signed [41:0] rounded;
	veto_round round (.clk(clk), .v(v), .s(shift), .out(rounded));

	(* mem2reg *) reg signed [33:0] add [0:ROUND];
	reg [ROUND:0] part;
	integer i;
	wire signed [43:0] whole = {{2{rounded[41]}}, rounded} + {{10{add[ROUND][33]}}, add[ROUND]};
	wire signed [43:0] most = part[ROUND] ? 44'sd1 <<< 30 : (44'sd1 <<< 31) - 44'sd1;
	wire signed [43:0] least = part[ROUND] ? -(44'sd1 <<< 30) : -(44'sd1 <<< 31);
	wire signed [43:0] limited = whole > most ? most : whole < least ? least : whole;
	wire unused = &{1'b0, limited[43:32]};
	always @(posedge clk) begin
		v <= has_scale ? {{16{sum[45]}}, sum[45:0]} * scale : sum;
		shift <= s;
		add[0] <= is_part ? 34'd0 : addend;
		for (i = 0; i < ROUND; i = i + 1)
			add[i+1] <= add[i];
		part <= {part[ROUND-1:0], is_part};
		z <= limited[31:0];
	end
endmodule
