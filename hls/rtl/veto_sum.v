// SPDX-License-Identifier: Apache-2.0
// The sum of 32 unsigned or signed numbers, five clocks later.
module veto_sum #(
	parameter WIDTH = 32,
	parameter IS_SIGNED = 0
) (
	input wire clk,
	input wire [32*WIDTH-1:0] in,
	output wire [WIDTH+4:0] out
);
	(* mem2reg *) reg [WIDTH+4:0] level [1:31]; // a heap: 1 is the root, 2i and 2i + 1 are added to i
	integer i;
	always @(posedge clk) begin
		for (i = 1; i < 16; i = i + 1)
			level[i] <= level[2*i] + level[2*i+1];
		for (i = 0; i < 16; i = i + 1)
			level[16+i] <= {{5{IS_SIGNED != 0 && in[2*i*WIDTH+WIDTH-1]}}, in[2*i*WIDTH+:WIDTH]} +
				{{5{IS_SIGNED != 0 && in[(2*i+1)*WIDTH+WIDTH-1]}}, in[(2*i+1)*WIDTH+:WIDTH]};
	end
	assign out = level[1];
endmodule
