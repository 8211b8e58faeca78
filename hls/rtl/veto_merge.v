// SPDX-License-Identifier: Apache-2.0
// FX1, step 5: the sums of a row out of those of its chunks, four chunks a clock.
//
// N is known before the sums of a row's last chunk, so the others are read already while those are added up, and the last
// group follows them at once: before the next row, for which ROW_PAUSE of veto_score_logits keeps clear 64 clocks, has its
// first.
`include "veto_hw.vh"

module veto_merge (
	input wire clk,
	input wire rst_n,
	// A chunk's sums, as veto_chunks gives them.
	input wire chunk_valid,
	input wire chunk_ends_row,
	input wire chunk_is_on,
	input wire [7:0] chunk_index,
	input wire signed [11:0] chunk_n,
	input wire [41:0] chunk_s,
	input wire [58:0] chunk_t,
	// N of a row is known; it stays until is_done.
	input wire row_known,
	input wire signed [11:0] row_n,
	output reg is_done,
	output reg [63:0] row_s,
	output reg [63:0] row_t
);
	localparam RECORD = 1 + 12 + 42 + 59;

	// Rows whose chunks are complete, by their last chunk's index, and how far the row behind them is.
	reg [7:0] index_last [0:3];
	reg [2:0] rows_in, rows_out;
	reg [7:0] written;
	wire is_complete = rows_in != rows_out;

	reg [2:0] known;
	reg is_busy, is_reading;
	reg [5:0] group;
	wire row_starts = !is_busy && known != 0;
	wire is_last_group = is_complete && group == index_last[rows_out[1:0]][7:2];
	wire reads = is_reading && (is_complete || written > {group, 2'd3});

	reg [4:0] valid, last, first; // of the stages below
	always @(posedge clk) begin
		if (chunk_valid) begin
			index_last[rows_in[1:0]] <= chunk_index;
			written <= chunk_ends_row ? 0 : chunk_index + 1;
			if (chunk_ends_row)
				rows_in <= rows_in + 1;
		end
		known <= known + {2'd0, row_known} - {2'd0, row_starts};
		is_busy <= row_starts || (is_busy && !is_done);
		is_reading <= row_starts || (is_reading && !is_last_group);
		group <= !is_reading ? 0 : reads ? group + 1 : group;
		if (is_done)
			rows_out <= rows_out + 1;
		valid <= {valid[3:0], reads};
		last <= {last[3:0], is_last_group};
		first <= {first[3:0], group == 0};
		is_done <= valid[4] && last[4];
		if (!rst_n) begin
			rows_in <= 0;
			rows_out <= 0;
			written <= 0;
			known <= 0;
			is_busy <= 0;
			is_reading <= 0;
			valid <= 0;
			is_done <= 0;
		end
	end

	wire [4*64-1:0] parts_s, parts_t;
	genvar b;
	generate
		for (b = 0; b < 4; b = b + 1) begin : bank
			localparam [1:0] BANK = b;
			(* ram_style = "distributed" *) reg [RECORD-1:0] records [0:63];
			reg [RECORD-1:0] read0;
			reg is_there0, is_there1, is_there2;
			wire is_on0 = read0[RECORD-1];
			wire signed [11:0] n0 = read0[RECORD-2-:12];
			wire [12:0] below = {row_n[11], row_n} - {n0[11], n0};
			reg [41:0] s1;
			reg [58:0] t1, t2;
			reg [5:0] d1, d2;
			reg [54:0] s2;
			reg [47:0] moved2;
			reg [63:0] s3, t3;
			wire [63:0] whole_t = {5'd0, t2} + {moved2, 16'd0};
			always @(posedge clk) begin
				if (chunk_valid && chunk_index[1:0] == BANK)
					records[chunk_index[7:2]] <= {chunk_is_on, chunk_n, chunk_s, chunk_t};
				read0 <= records[group];
				is_there0 <= !is_complete || {group, BANK} <= index_last[rows_out[1:0]];

				is_there1 <= is_there0 && is_on0 && below <= `VETO_ROW_SHIFT_MAX;
				d1 <= below[5:0];
				s1 <= read0[100:59];
				t1 <= read0[58:0];

				is_there2 <= is_there1;
				d2 <= d1;
				s2 <= {s1, 13'd0} >> d1;
				moved2 <= s1 * d1;
				t2 <= t1;

				s3 <= is_there2 ? {9'd0, s2} : 64'd0;
				t3 <= is_there2 ? whole_t >> ({1'b0, d2} + 7'd3) : 64'd0;
			end
			assign parts_s[64*b+:64] = s3;
			assign parts_t[64*b+:64] = t3;
		end
	endgenerate

	reg [63:0] s4, t4;
	always @(posedge clk) begin
		s4 <= (parts_s[63:0] + parts_s[127:64]) + (parts_s[191:128] + parts_s[255:192]);
		t4 <= (parts_t[63:0] + parts_t[127:64]) + (parts_t[191:128] + parts_t[255:192]);
		if (valid[4]) begin
			row_s <= (first[4] ? 64'd0 : row_s) + s4;
			row_t <= (first[4] ? 64'd0 : row_t) + t4;
		end
	end
endmodule
