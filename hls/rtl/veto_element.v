// SPDX-License-Identifier: Apache-2.0
// FX1, step 4, for one lane, six clocks later.
`include "veto_hw.vh"

module veto_element (
	input wire clk,
	input wire signed [27:0] y,
	input wire is_on,
	input wire signed [11:0] n, // of the chunk: not below y >> 16
	output reg [31:0] e, // Q31
	output reg [53:0] weighted // e times the distance to n + 1, Q47
);
	localparam [64*16-1:0] A = `VETO_FX1_A;
	localparam [64*15-1:0] B = `VETO_FX1_B;

	wire [12:0] below = {n[11], n} - {y[27], y[27:16]};

	reg [5:1] is_near;
	reg [4:0] d1, d2, d3;
	reg [15:0] f1, a1, a2;
	reg [14:0] b1;
	reg [25:0] product2;
	reg [21:0] distance2, distance3, distance4;
	reg [16:0] m3;
	reg [31:0] e4, e5;
	reg [53:0] weighted5;
	wire [25:0] rise = product2 + 26'h4000;

	always @(posedge clk) begin
		is_near <= {is_near[4:1], is_on && below <= `VETO_SHIFT_MAX};
		d1 <= below[4:0];
		f1 <= y[15:0];
		a1 <= A[16*y[15:10]+:16];
		b1 <= B[15*y[15:10]+:15];

		d2 <= d1;
		a2 <= a1;
		product2 <= b1 * {f1[9:0], 1'b0};
		distance2 <= {{1'b0, d1} + 6'd1, 16'd0} - {6'd0, f1};

		d3 <= d2;
		m3 <= 17'd65536 + {1'b0, a2} + {6'd0, rise[25:15]};
		distance3 <= distance2;

		e4 <= is_near[3] ? {m3, 15'd0} >> d3 : 32'd0;
		distance4 <= distance3;

		e5 <= e4;
		weighted5 <= e4 * distance4;
		e <= e5;
		weighted <= weighted5;
	end

	wire unused = &{is_near[5:4], rise[14:0]};
endmodule
