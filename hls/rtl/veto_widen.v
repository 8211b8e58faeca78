// SPDX-License-Identifier: Apache-2.0
// One lane of a beat as the bits of the fp32 value that equals it.
`include "veto_hw.vh"

module veto_widen (
	input wire [31:0] word, // of an fp32 beat
	input wire [15:0] half, // of a 16-bit beat
	input wire [1:0] format,
	output reg [31:0] bits
);
	// A subnormal's first bit, which goes to where a normal one has it.
	reg [3:0] first;
	integer i;
	always @* begin
		first = 0;
		for (i = 0; i < 10; i = i + 1)
			if (half[i])
				first = i[3:0];
	end
	wire [9:0] fraction = half[9:0] << (4'd10 - first);

	always @* begin
		if (format == `VETO_KERNEL_FP32)
			bits = word;
		else if (format == `VETO_KERNEL_BF16)
			bits = {half, 16'd0};
		else if (half[14:10] == 5'd31)
			bits = {half[15], 8'd255, half[9:0], 13'd0};
		else if (half[14:10] != 0)
			bits = {half[15], 8'd112 + {3'd0, half[14:10]}, half[9:0], 13'd0};
		else if (half[9:0] != 0)
			bits = {half[15], 8'd103 + {4'd0, first}, fraction, 13'd0};
		else
			bits = {half[15], 31'd0};
	end
endmodule
