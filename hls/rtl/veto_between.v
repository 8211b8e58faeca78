// SPDX-License-Identifier: Apache-2.0
// From the outputs of a layer to the integers that go into the next one: all of them are kept, and when the largest is known,
// given out 16 at a time.
module veto_between (
	input wire clk,
	input wire rst_n,
	input wire clears, // before the first output
	input wire z_valid,
	input wire signed [31:0] z,
	input wire starts, // behind the last: 16 clocks later the first integers are given out
	output wire is_done, // for one clock
	output wire [4:0] log2, // of the largest; 16 if that is 0
	output wire q_valid,
	output wire [9:0] q_number, // which 16
	output reg [16*24-1:0] q
);
	reg [30:0] any; // the first bit of the largest is the first bit of all of them together
	reg [14:0] count;
	wire [30:0] positive = z[31] ? 31'd0 : z[30:0];
	reg [4:0] first;
	integer i;
	always @* begin
		first = 5'd16;
		for (i = 0; i < 31; i = i + 1)
			if (any[i])
				first = i[4:0];
	end
	assign log2 = first;

	localparam WAIT = 13;
	reg [3:0] waits;
	reg is_active;
	reg [9:0] number;
	wire [14:0] one_less = count - 15'd1;
	wire is_last = {1'b0, number} == one_less[14:4];
	wire unused_low = &{1'b0, one_less[3:0]};
	reg [3:1] valid, ends;
	(* mem2reg *) reg [9:0] numbers [1:3];
	assign q_valid = valid[3];
	assign q_number = numbers[3];
	assign is_done = valid[3] && ends[3];
	always @(posedge clk) begin
		if (clears) begin
			any <= 0;
			count <= 0;
		end else if (z_valid) begin
			any <= any | positive;
			count <= count + 1;
		end
		if (starts)
			waits <= WAIT[3:0];
		else if (waits != 0)
			waits <= waits - 1;
		if (waits == 1) begin
			is_active <= 1;
			number <= 0;
		end else if (is_active) begin
			is_active <= !is_last;
			number <= number + 1;
		end
		valid <= {valid[2:1], is_active};
		ends <= {ends[2:1], is_last};
		numbers[1] <= number;
		numbers[2] <= numbers[1];
		numbers[3] <= numbers[2];
		if (!rst_n) begin
			waits <= 0;
			is_active <= 0;
			valid <= 0;
		end
	end

	genvar g;
	generate
		for (g = 0; g < 16; g = g + 1) begin : lane
			localparam [3:0] NUMBER = g;
			reg [30:0] memory [0:1023];
			reg [30:0] value;
			reg [31:0] shifted; // Q16: a value below 2^(log2 + 1) times 2^(14 - log2)
			wire rounds_up = shifted[15] && (shifted[14:0] != 0 || shifted[16]);
			wire [15:0] rounded = shifted[31:16] + {15'd0, rounds_up};
			wire [60:0] wide = {value, 30'd0} >> log2;
			wire unused = &{1'b0, wide[60:32]};
			always @(posedge clk) begin
				if (z_valid && count[3:0] == NUMBER)
					memory[count[13:4]] <= positive;
				value <= memory[number];
				shifted <= wide[31:0];
				q[24*g+:24] <= rounded[15] ? 24'h7fff : {8'd0, rounded};
			end
		end
	endgenerate
endmodule
