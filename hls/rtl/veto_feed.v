// SPDX-License-Identifier: Apache-2.0
// Takes the beats of queued rows from the read port, says what each of them is, and widens their lanes.
`include "veto_hw.vh"

module veto_feed #(
	parameter PAUSE = 64 // clocks between rows
) (
	input wire clk,
	input wire rst_n,
	input wire row_valid,
	output wire row_ready,
	input wire [1:0] row_format,
	input wire [18:0] row_vocab,
	// The port.
	input wire [511:0] rdata,
	input wire rvalid,
	output wire rready,
	// A beat, two clocks after it was taken.
	output reg is_valid,
	output reg ends_chunk,
	output reg ends_row,
	output reg is_wide, // 16 lanes of fp32, else 32
	output reg [13:0] number,
	output reg [31:0] is_there, // lanes below the length of the row
	output reg [32*32-1:0] bits
);
	reg is_active;
	reg [1:0] format;
	reg [18:0] left; // logits
	reg [13:0] beat;
	reg [6:0] pause;
	wire wide = format == `VETO_KERNEL_FP32;
	wire [18:0] lanes = wide ? 19'd16 : 19'd32;
	wire is_last = left <= lanes;
	wire takes = rvalid && rready;
	assign rready = is_active;
	assign row_ready = !is_active && pause == 0;

	// Taken.
	reg valid1, ends_chunk1, ends_row1, wide1;
	reg [1:0] format1;
	reg [13:0] number1;
	reg [31:0] there1;
	reg [511:0] data1;
	integer i;
	always @(posedge clk) begin
		if (row_valid && row_ready) begin
			is_active <= 1;
			format <= row_format;
			left <= row_vocab;
			beat <= 0;
		end else if (takes) begin
			is_active <= !is_last;
			left <= left - lanes;
			beat <= beat + 1;
		end
		if (takes && is_last)
			pause <= PAUSE[6:0];
		else if (pause != 0)
			pause <= pause - 1;

		valid1 <= takes;
		data1 <= rdata;
		format1 <= format;
		wide1 <= wide;
		number1 <= beat;
		ends_row1 <= is_last;
		ends_chunk1 <= is_last || (wide ? &beat[5:0] : &beat[4:0]);
		for (i = 0; i < 32; i = i + 1)
			there1[i] <= i[18:0] < lanes && i[18:0] < left;

		is_valid <= valid1;
		ends_chunk <= ends_chunk1;
		ends_row <= ends_row1;
		is_wide <= wide1;
		number <= number1;
		is_there <= there1;
		bits <= widened;
		if (!rst_n) begin
			is_active <= 0;
			pause <= 0;
			valid1 <= 0;
			is_valid <= 0;
		end
	end

	wire [32*32-1:0] widened;
	genvar g;
	generate
		for (g = 0; g < 32; g = g + 1) begin : lane
			// Lanes from the sixteenth on are never fp32.
			veto_widen widen (.word(g < 16 ? data1[32*(g%16)+:32] : 32'd0), .half(data1[16*g+:16]),
				.format(format1), .bits(widened[32*g+:32]));
		end
	endgenerate
endmodule
