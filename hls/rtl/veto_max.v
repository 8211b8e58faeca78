// SPDX-License-Identifier: Apache-2.0
// The largest of 32 signed numbers, five clocks later.
module veto_max #(
	parameter WIDTH = 28
) (
	input wire clk,
	input wire [32*WIDTH-1:0] in,
	output wire signed [WIDTH-1:0] out
);
	(* mem2reg *) reg signed [WIDTH-1:0] level [1:31]; // a heap, as in veto_sum
	integer i;
	always @(posedge clk) begin
		for (i = 1; i < 16; i = i + 1)
			level[i] <= level[2*i] > level[2*i+1] ? level[2*i] : level[2*i+1];
		for (i = 0; i < 16; i = i + 1)
			level[16+i] <= $signed(in[2*i*WIDTH+:WIDTH]) > $signed(in[(2*i+1)*WIDTH+:WIDTH]) ?
				in[2*i*WIDTH+:WIDTH] : in[(2*i+1)*WIDTH+:WIDTH];
	end
	assign out = level[1];
endmodule
