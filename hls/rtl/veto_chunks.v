// SPDX-License-Identifier: Apache-2.0
// FX1, steps 3 and 4: the sums of chunks.
//
// Beats wait in a memory of 128 until the maximum of their chunk is known; a chunk has at most 64, so one can be written
// while another is read.  Nothing here stalls: a chunk is read in as many clocks as it has beats, without a clock between
// chunks, and at least as many pass until the next chunk's maximum is known.  Only the last chunk of a row may be shorter;
// the pause behind it, ROW_PAUSE of veto_score_logits, is longer than what is then still unread.
`include "veto_hw.vh"

module veto_chunks (
	input wire clk,
	input wire rst_n,
	// Beats.
	input wire is_valid,
	input wire ends_chunk,
	input wire ends_row,
	input wire [32*28-1:0] y,
	input wire [31:0] is_on,
	input wire [31:0] is_nan,
	input wire [31:0] is_saturated,
	// Behind a row's last beat.
	output reg row_valid,
	output reg signed [27:0] row_ymax, // -2^27: nothing is on
	output reg [18:0] row_cnt,
	output reg [18:0] row_n_nan,
	output reg [18:0] row_n_sat,
	output reg signed [45:0] row_sumy,
	// Behind a chunk's sums.
	output reg chunk_valid,
	output reg chunk_ends_row,
	output reg chunk_is_on, // it holds something
	output reg [7:0] chunk_index,
	output reg signed [11:0] chunk_n,
	output reg [41:0] chunk_s,
	output reg [58:0] chunk_t
);
	localparam TREE = 5; // clocks of veto_sum and veto_max
	localparam signed [27:0] NONE = 28'h8000000;

	// --- Step 3 ---
	wire [32*28-1:0] candidates;
	genvar g;
	generate
		for (g = 0; g < 32; g = g + 1) begin : candidate
			assign candidates[28*g+:28] = is_on[g] ? y[28*g+:28] : NONE;
		end
	endgenerate
	wire signed [27:0] beat_ymax;
	wire [32:0] beat_sumy;
	wire [5:0] beat_cnt, beat_n_nan, beat_n_sat;
	veto_max #(.WIDTH(28)) max_y (.clk(clk), .in(candidates), .out(beat_ymax));
	veto_sum #(.WIDTH(28), .IS_SIGNED(1)) sum_y (.clk(clk), .in(y), .out(beat_sumy));
	veto_sum #(.WIDTH(1)) sum_on (.clk(clk), .in(is_on), .out(beat_cnt));
	veto_sum #(.WIDTH(1)) sum_nan (.clk(clk), .in(is_nan), .out(beat_n_nan));
	veto_sum #(.WIDTH(1)) sum_saturated (.clk(clk), .in(is_saturated), .out(beat_n_sat));

	reg [TREE:1] valid, chunk_end, row_end;
	reg is_first; // beat of a chunk
	reg is_first_chunk;
	reg [6:0] beats;
	reg signed [27:0] ymax;
	wire signed [27:0] ymax_next = is_first || beat_ymax > ymax ? beat_ymax : ymax;
	wire signed [27:0] row_ymax_next = is_first_chunk || ymax_next > row_ymax ? ymax_next : row_ymax;
	wire starts_row = is_first && is_first_chunk;
	wire [6:0] beats_next = is_first ? 7'd1 : beats + 7'd1;

	// What is known of chunks that wait to be read: a queue of four.
	reg [6:0] head_beats [0:3];
	reg signed [27:0] head_ymax [0:3];
	reg head_ends_row [0:3];
	reg [1:0] head_in, head_out;
	always @(posedge clk) begin
		valid <= {valid[TREE-1:1], is_valid};
		chunk_end <= {chunk_end[TREE-1:1], ends_chunk};
		row_end <= {row_end[TREE-1:1], ends_row};
		row_valid <= valid[TREE] && row_end[TREE];
		if (valid[TREE]) begin
			is_first <= chunk_end[TREE];
			beats <= beats_next;
			ymax <= ymax_next;
			row_cnt <= (starts_row ? 19'd0 : row_cnt) + {13'd0, beat_cnt};
			row_n_nan <= (starts_row ? 19'd0 : row_n_nan) + {13'd0, beat_n_nan};
			row_n_sat <= (starts_row ? 19'd0 : row_n_sat) + {13'd0, beat_n_sat};
			row_sumy <= (starts_row ? 46'd0 : row_sumy) + {{13{beat_sumy[32]}}, beat_sumy};
			if (chunk_end[TREE]) begin
				row_ymax <= row_ymax_next;
				is_first_chunk <= row_end[TREE];
				head_beats[head_in] <= beats_next;
				head_ymax[head_in] <= ymax_next;
				head_ends_row[head_in] <= row_end[TREE];
				head_in <= head_in + 1;
			end
		end
		if (!rst_n) begin
			valid <= 0;
			row_valid <= 0;
			is_first <= 1;
			is_first_chunk <= 1;
			head_in <= 0;
		end
	end

	// --- The beats that wait ---
	reg [32*29-1:0] waiting [0:127];
	reg [32*29-1:0] read_beat;
	reg [6:0] write_at, read_at;
	reg [6:0] left; // beats of the chunk that is read
	reg signed [27:0] read_ymax;
	reg read_ends_row;
	wire is_reading = left != 0;
	wire takes_head = left <= 1 && head_in != head_out;
	reg [7:0] index;

	// --- Step 4 ---
	localparam ELEMENT = 6; // clocks of veto_element
	localparam LATENCY = ELEMENT + TREE;
	reg [LATENCY:0] sum_valid, sum_chunk_end, sum_row_end; // 0: read_beat
	reg signed [27:0] beat_chunk_ymax;
	always @(posedge clk) begin
		if (is_valid) begin
			waiting[write_at] <= {is_on, y};
			write_at <= write_at + 1;
		end
		read_beat <= waiting[read_at];
		beat_chunk_ymax <= read_ymax;
		if (is_reading)
			read_at <= read_at + 1;
		if (takes_head) begin
			left <= head_beats[head_out];
			read_ymax <= head_ymax[head_out];
			read_ends_row <= head_ends_row[head_out];
			head_out <= head_out + 1;
		end else if (is_reading) begin
			left <= left - 1;
		end
		sum_valid <= {sum_valid[LATENCY-1:0], is_reading};
		sum_chunk_end <= {sum_chunk_end[LATENCY-1:0], left == 1};
		sum_row_end <= {sum_row_end[LATENCY-1:0], left == 1 && read_ends_row};
		if (!rst_n) begin
			write_at <= 0;
			read_at <= 0;
			left <= 0;
			head_out <= 0;
			sum_valid <= 0;
		end
	end

	wire [32*32-1:0] e;
	wire [32*54-1:0] weighted;
	generate
		for (g = 0; g < 32; g = g + 1) begin : element
			veto_element lane (.clk(clk), .y(read_beat[28*g+:28]), .is_on(read_beat[32*28+g]),
				.n(beat_chunk_ymax[27:16]), .e(e[32*g+:32]), .weighted(weighted[54*g+:54]));
		end
	endgenerate
	wire [36:0] beat_s;
	wire [58:0] beat_t;
	veto_sum #(.WIDTH(32)) sum_s (.clk(clk), .in(e), .out(beat_s));
	veto_sum #(.WIDTH(54)) sum_t (.clk(clk), .in(weighted), .out(beat_t));

	// The chunk's maximum, as its sums have it by now.
	(* mem2reg *) reg signed [27:0] ymax_later [1:LATENCY];
	reg starts_sum;
	integer i;
	always @(posedge clk) begin
		ymax_later[1] <= beat_chunk_ymax;
		for (i = 1; i < LATENCY; i = i + 1)
			ymax_later[i+1] <= ymax_later[i];
		chunk_valid <= sum_valid[LATENCY] && sum_chunk_end[LATENCY];
		chunk_ends_row <= sum_row_end[LATENCY];
		if (sum_valid[LATENCY]) begin
			chunk_s <= (starts_sum ? 42'd0 : chunk_s) + {5'd0, beat_s};
			chunk_t <= (starts_sum ? 59'd0 : chunk_t) + beat_t;
			chunk_n <= ymax_later[LATENCY][27:16];
			chunk_is_on <= ymax_later[LATENCY] != NONE;
			starts_sum <= sum_chunk_end[LATENCY];
		end
		if (chunk_valid)
			index <= chunk_ends_row ? 8'd0 : index + 8'd1;
		if (!rst_n) begin
			chunk_valid <= 0;
			starts_sum <= 1;
			index <= 0;
		end
	end
	always @* chunk_index = index;
endmodule
