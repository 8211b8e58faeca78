// SPDX-License-Identifier: Apache-2.0
// Reads hidden states and holds their integers, of two of them at a time: while one is multiplied, the next one is read.
//
// A state is read twice: for its largest exponent, and to be quantised with it.  Memory of 64 integers a word is in four
// quarters, since a beat brings 16 or 32 of them.  What lies beyond the state's length is not cleared there.
`include "veto_hw.vh"

module veto_state (
	input wire clk,
	input wire rst_n,
	// States of one job, one behind the other; all that is said of them stays until they are dropped.
	input wire job_valid,
	output wire job_ready,
	input wire [63:0] job_address,
	input wire [14:0] job_cols,
	input wire [1:0] job_format,
	input wire [4:0] job_states,
	input wire is_long, // integers of 24 bits, else 16
	// The oldest state that is held: q is the word of a clock before.
	output wire is_held,
	output wire [7:0] emax, // the largest exponent field; 255: the state has NaN or infinities
	input wire [7:0] word,
	output reg [64*24-1:0] q,
	input wire drops,
	// Other integers for it, 16 at a time; meanwhile, and from 8 clocks before, reading holds.
	input wire holds,
	input wire rewrites,
	input wire [9:0] rewrite_number, // which 16
	input wire [16*24-1:0] rewrite_q,
	// The port.
	output wire [63:0] araddr,
	output wire [7:0] arlen,
	output wire [2:0] arsize,
	output wire [1:0] arburst,
	output wire arvalid,
	input wire arready,
	input wire [511:0] rdata,
	input wire rvalid,
	output wire rready,
	input wire rlast
);
	localparam PAUSE = 16; // clocks between passes: more than a beat takes from the port to its quarter
	localparam MAX = 5, QUANTISE = 2; // clocks

	// --- Both passes are asked for, as far ahead as the reader goes ---
	wire [14:0] ceiling = job_cols + (job_format == `VETO_KERNEL_FP32 ? 15'd15 : 15'd31);
	wire [10:0] beats = job_format == `VETO_KERNEL_FP32 ? ceiling[14:4] : {1'b0, ceiling[14:5]};
	reg [5:0] runs, passes; // left to be asked for, and to be fed
	reg [63:0] address;
	wire run_ready, feed_ready;
	wire feeds = passes != 0 && (passes[0] || taken != 2'd2) && feed_ready;
	assign job_ready = runs == 0 && passes == 0;
	veto_reader reader (.clk(clk), .rst_n(rst_n), .run_valid(runs != 0), .run_ready(run_ready), .run_address(address),
		.run_beats({4'd0, beats}), .araddr(araddr), .arlen(arlen), .arsize(arsize), .arburst(arburst),
		.arvalid(arvalid), .arready(arready), .burst_ends(rvalid && rready && rlast));

	// Banks: those that a state has, and those whose state is complete.
	reg [1:0] taken, held;
	reg at_write, at_read;
	reg [7:0] bank_emax [0:1];
	assign is_held = held != 0;
	assign emax = bank_emax[at_read];
	always @(posedge clk) begin
		if (job_valid && job_ready) begin
			runs <= {job_states, 1'b0};
			passes <= {job_states, 1'b0};
			address <= job_address;
		end else begin
			if (runs != 0 && run_ready) begin
				runs <= runs - 1;
				if (runs[0])
					address <= address + {47'd0, beats, 6'd0};
			end
			if (feeds)
				passes <= passes - 1;
		end
		taken <= taken + {1'd0, feeds && !passes[0]} - {1'd0, drops};
		held <= held + {1'd0, completes} - {1'd0, drops};
		if (completes) begin
			bank_emax[at_write] <= largest;
			at_write <= !at_write;
		end
		if (drops)
			at_read <= !at_read;
		if (!rst_n) begin
			runs <= 0;
			passes <= 0;
			taken <= 0;
			held <= 0;
			at_write <= 0;
			at_read <= 0;
		end
	end

	// --- Beats ---
	wire beat_valid, beat_ends, beat_is_wide;
	wire [13:0] number;
	wire [31:0] is_there;
	wire [32*32-1:0] bits;
	wire unused_ends_chunk, feed_takes;
	assign rready = feed_takes && !holds;
	veto_feed #(.PAUSE(PAUSE)) feed (.clk(clk), .rst_n(rst_n), .row_valid(feeds), .row_ready(feed_ready),
		.row_format(job_format), .row_vocab({4'd0, job_cols}), .rdata(rdata), .rvalid(rvalid && !holds), .rready(feed_takes),
		.is_valid(beat_valid), .ends_chunk(unused_ends_chunk), .ends_row(beat_ends), .is_wide(beat_is_wide),
		.number(number), .is_there(is_there), .bits(bits));
	wire unused = &{1'b0, unused_ends_chunk, number[13:10], ceiling[3:0]};

	reg is_second; // pass
	always @(posedge clk) begin
		if (beat_valid && beat_ends)
			is_second <= !is_second;
		if (!rst_n)
			is_second <= 0;
	end

	// The first pass.
	wire [32*9-1:0] exponents;
	wire signed [8:0] beat_largest;
	genvar g;
	generate
		for (g = 0; g < 32; g = g + 1) begin : exponent
			wire [7:0] field = bits[32*g+23+:8];
			assign exponents[9*g+:9] = {1'b0, !is_there[g] ? 8'd0 : field == 0 ? 8'd1 : field};
		end
	endgenerate
	veto_max #(.WIDTH(9)) max (.clk(clk), .in(exponents), .out(beat_largest));
	reg [MAX:1] max_valid, max_starts;
	reg [7:0] largest;
	wire unused_sign = &{1'b0, beat_largest[8]};
	always @(posedge clk) begin
		max_valid <= {max_valid[MAX-1:1], beat_valid && !is_second};
		max_starts <= {max_starts[MAX-1:1], number == 0};
		if (max_valid[MAX] && (max_starts[MAX] || beat_largest[7:0] > largest))
			largest <= beat_largest[7:0];
		if (!rst_n)
			max_valid <= 0;
	end

	// The second.
	reg [QUANTISE:1] write_valid, write_ends, write_is_wide;
	(* mem2reg *) reg [9:0] write_number [1:QUANTISE];
	wire completes = write_valid[QUANTISE] && write_ends[QUANTISE];
	wire [9:0] at = write_number[QUANTISE];
	wire [7:0] write_word = write_is_wide[QUANTISE] ? at[9:2] : at[8:1];
	always @(posedge clk) begin
		write_valid <= {write_valid[QUANTISE-1:1], beat_valid && is_second};
		write_ends <= {write_ends[QUANTISE-1:1], beat_ends};
		write_is_wide <= {write_is_wide[QUANTISE-1:1], beat_is_wide};
		write_number[1] <= number[9:0];
		write_number[2] <= write_number[1];
		if (!rst_n)
			write_valid <= 0;
	end
	wire [32*24-1:0] integers;
	generate
		for (g = 0; g < 32; g = g + 1) begin : lane
			veto_quantise quantise (.clk(clk), .bits(bits[32*g+:32]), .emax(largest), .is_long(is_long),
				.q(integers[24*g+:24]));
		end
		for (g = 0; g < 4; g = g + 1) begin : quarter
			localparam [1:0] NUMBER = g;
			reg [16*24-1:0] memory [0:511]; // a bank, and a word of it
			wire writes = rewrites ? rewrite_number[1:0] == NUMBER : write_valid[QUANTISE] &&
				(write_is_wide[QUANTISE] ? at[1:0] == NUMBER : at[0] == NUMBER[1]);
			always @(posedge clk) begin
				if (writes)
					memory[rewrites ? {at_read, rewrite_number[9:2]} : {at_write, write_word}] <=
						rewrites ? rewrite_q :
						g % 2 != 0 && !write_is_wide[QUANTISE] ? integers[32*24-1:16*24] :
						integers[16*24-1:0];
				q[16*24*g+:16*24] <= memory[{at_read, word}];
			end
		end
	endgenerate
endmodule
