// SPDX-License-Identifier: Apache-2.0
// Sums of products of a state's integers and rows of weights, a beat of 64 bytes a clock.
//
// Each byte of a beat has a multiplier: an integer of 16 bits is two bytes, of which the upper one has the sign and counts
// 256 times.
module veto_products (
	input wire clk,
	input wire rst_n,
	input wire is_valid, // a beat
	input wire starts_row,
	input wire ends_row,
	input wire is_narrow, // integers of 8 bits, 64 of them; else of 16 bits, 32
	input wire is_signed, // else those of 8 bits are not
	input wire is_high, // the sum counts 256 times
	input wire is_self, // the state's own integers of 16 bits are the weights
	input wire is_upper_half, // of q, for the 32
	input wire [6:0] lanes, // that are there, from the first on
	input wire [511:0] data,
	input wire [64*24-1:0] q,
	output reg row_valid, // for one clock
	output reg signed [61:0] sum
);
	localparam SUM = 5; // clocks of veto_sum
	wire [32*24-1:0] half = is_upper_half ? q[64*24-1:32*24] : q[32*24-1:0];

	wire [32*32-1:0] even, odd;
	genvar g;
	generate
		for (g = 0; g < 64; g = g + 1) begin : lane
			localparam [6:0] NARROW = g, WIDE = g / 2;
			reg signed [23:0] a;
			reg signed [8:0] b;
			reg signed [31:0] product;
			wire [7:0] weight = is_self ? half[24*(g/2)+8*(g%2)+:8] : data[8*g+:8];
			wire has_sign = is_narrow ? is_signed : g % 2 != 0;
			always @(posedge clk) begin
				a <= (is_narrow ? NARROW : WIDE) >= lanes ? 24'd0 :
					is_narrow ? q[24*g+:24] : half[24*(g/2)+:24];
				b <= {has_sign && weight[7], weight};
				product <= {{8{a[23]}}, a} * {{23{b[8]}}, b};
			end
			if (g % 2 == 0) begin : is_even
				assign even[16*g+:32] = product;
			end else begin : is_odd
				assign odd[16*(g-1)+:32] = product;
			end
		end
	endgenerate
	wire signed [36:0] even_sum, odd_sum;
	veto_sum #(.WIDTH(32), .IS_SIGNED(1)) sum_even (.clk(clk), .in(even), .out(even_sum));
	veto_sum #(.WIDTH(32), .IS_SIGNED(1)) sum_odd (.clk(clk), .in(odd), .out(odd_sum));

	// Of operands, products and sums, then of a beat.
	localparam BEAT = 3 + SUM;
	reg [BEAT:1] valid, starts, ends;
	reg [BEAT-1:1] narrow, high;
	reg signed [53:0] beat;
	wire signed [53:0] even_wide = {{17{even_sum[36]}}, even_sum};
	wire signed [53:0] odd_wide = {{17{odd_sum[36]}}, odd_sum};
	wire signed [53:0] both = even_wide + (narrow[BEAT-1] ? odd_wide : odd_wide <<< 8);
	always @(posedge clk) begin
		valid <= {valid[BEAT-1:1], is_valid};
		starts <= {starts[BEAT-1:1], starts_row};
		ends <= {ends[BEAT-1:1], ends_row};
		narrow <= {narrow[BEAT-2:1], is_narrow};
		high <= {high[BEAT-2:1], is_high};
		beat <= high[BEAT-1] ? both <<< 8 : both;
		row_valid <= valid[BEAT] && ends[BEAT];
		if (valid[BEAT])
			sum <= (starts[BEAT] ? 62'd0 : sum) + {{8{beat[53]}}, beat};
		if (!rst_n) begin
			valid <= 0;
			row_valid <= 0;
		end
	end
endmodule
