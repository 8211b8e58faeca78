// SPDX-License-Identifier: Apache-2.0
// v times 2^-s, rounded to nearest, ties to even, and limited to +-2^40, three clocks later.
module veto_round (
	input wire clk,
	input wire signed [61:0] v, // below 2^60
	input wire signed [17:0] s,
	output reg signed [41:0] out
);
	// Of the magnitude, Q60, with all of it that can stay below the limit, shifted left by 40: right by 0 to 101.
	wire [61:0] magnitude = v[61] ? -v : v;
	wire is_tiny = s > 18'sd60; // nothing is left
	wire is_huge = s < -18'sd40; // whatever is not 0 is beyond the limit
	wire [6:0] by = s[6:0] + 7'd40;
	reg [161:0] shifted;
	reg is_negative, is_zero, is_limited;
	always @(posedge clk) begin
		shifted <= {magnitude, 100'd0} >> by;
		is_negative <= v[61];
		is_zero <= magnitude == 0 || is_tiny;
		is_limited <= is_huge;
	end

	reg [40:0] whole;
	reg rounds_up, negative, zero, limited;
	always @(posedge clk) begin
		whole <= shifted[100:60];
		rounds_up <= shifted[59] && (shifted[58:0] != 0 || shifted[60]);
		negative <= is_negative;
		zero <= is_zero;
		limited <= is_limited || shifted[161:101] != 0;
	end

	localparam [41:0] LIMIT = 42'h10000000000;
	wire [41:0] rounded = {1'b0, whole} + {41'd0, rounds_up};
	wire [41:0] size = zero ? 42'd0 : limited || rounded > LIMIT ? LIMIT : rounded;
	always @(posedge clk) out <= negative ? -size : size;
endmodule
