// SPDX-License-Identifier: Apache-2.0
// FX1, steps 1 and 2, for one lane: what top-k wants of it after one clock, y and what it counts as after six.
`include "veto_hw.vh"

module veto_lane #(
	parameter FRACTION = 23 // bits that a logit of this lane may have behind its point: 23, or 10 for 16-bit formats
) (
	input wire clk,
	input wire [31:0] bits, // fp32
	input wire is_there, // it lies below the length of the row
	output reg [31:0] key,
	output reg is_listed,
	output reg signed [27:0] y, // Q16; 0 unless is_on
	output reg is_on,
	output reg is_nan,
	output reg is_saturated
);
	localparam [30:0] INFINITE = 31'h7f800000;
	localparam [30:0] LIMIT = 31'h44800000; // 1024
	localparam LOW = 23 - FRACTION;

	wire nan = bits[30:0] > INFINITE;
	wire beyond = bits[30:0] > LIMIT && !nan;

	reg [5:1] on, nans, saturateds, negative;
	reg [7:0] exponent1, exponent2, exponent3;
	reg [FRACTION:0] significand1;
	reg [FRACTION+24:0] product2, product3;

	// The product's 24 leading bits, to nearest: the constant is odd, so that no product lies between two.
	wire [FRACTION+24:0] lifted = product3[FRACTION+24] ? product3 : product3 << 1;
	wire [47:0] aligned = {lifted, {LOW{1'b0}}};
	reg [24:0] kept4;
	reg [4:0] shift4;
	reg is_tiny4;

	// Shifted to Q16, with 25 bits behind the point.
	wire [53:0] shifted = {kept4, 29'd0} >> shift4;
	reg [28:0] whole5;
	reg up5;
	wire [28:0] rounded = whole5 + {28'd0, up5};

	always @(posedge clk) begin
		key <= bits ^ {1'b1, {31{bits[31]}}};
		is_listed <= is_there && !nan && !(beyond && bits[31]);

		on[1] <= is_there && !nan && !(beyond && bits[31]);
		nans[1] <= is_there && nan;
		saturateds[1] <= is_there && beyond && !bits[31];
		negative[1] <= bits[31];
		exponent1 <= beyond ? LIMIT[30:23] : bits[30:23];
		significand1 <= {1'b1, beyond ? {FRACTION{1'b0}} : bits[22-:FRACTION]};

		on[5:2] <= on[4:1];
		nans[5:2] <= nans[4:1];
		saturateds[5:2] <= saturateds[4:1];
		negative[5:2] <= negative[4:1];
		product2 <= significand1 * `VETO_LOG2E_SIGNIFICAND;
		exponent2 <= exponent1;
		product3 <= product2;
		exponent3 <= exponent2;

		kept4 <= {1'b0, aligned[47:24]} + {24'd0, aligned[23]};
		// kept stands for itself times 2^(exponent - 133), or one less where it was lifted; 4 places are to the left.
		shift4 <= 5'd9 - exponent3[4:0] + {4'd0, !product3[FRACTION+24]};
		is_tiny4 <= exponent3 < 8'd109; // |y| is below a half

		whole5 <= is_tiny4 ? 29'd0 : shifted[53:25];
		up5 <= !is_tiny4 && shifted[24] && (shifted[23:0] != 0 || shifted[25]);

		y <= !on[5] ? 28'd0 : negative[5] ? -rounded[27:0] : rounded[27:0];
		is_on <= on[5];
		is_nan <= nans[5];
		is_saturated <= saturateds[5];
	end

	wire unused = &{1'b0, rounded[28], aligned[22:0]};
endmodule
