// SPDX-License-Identifier: Apache-2.0
// The RTL twin of the kernel veto_score_logits: the same contract (veto_hw.h) and the same results, written apart from it.
//
// Rows flow through at a beat of 512 bits a clock: 16 fp32 or 32 16-bit logits.  Nothing behind the read port stalls:
// rows are only begun while there is room for their results, and ROW_PAUSE clocks pass between two rows.  In 36 of them
// veto_top merges its lists, in up to 64 veto_chunks reads the row's last chunks.  Meanwhile the next row's bursts are on
// their way already.  Reset: at least 32 clocks.
`include "veto_hw.vh"

module veto_score_logits (
	input wire ap_clk,
	input wire ap_rst_n,
	/* verilator lint_off SYMRSVDWORD */ // Vitis fixes this name
	output wire interrupt,
	/* verilator lint_on SYMRSVDWORD */

	input wire [11:0] s_axi_control_awaddr,
	input wire s_axi_control_awvalid,
	output wire s_axi_control_awready,
	input wire [31:0] s_axi_control_wdata,
	input wire [3:0] s_axi_control_wstrb,
	input wire s_axi_control_wvalid,
	output wire s_axi_control_wready,
	output wire [1:0] s_axi_control_bresp,
	output wire s_axi_control_bvalid,
	input wire s_axi_control_bready,
	input wire [11:0] s_axi_control_araddr,
	input wire s_axi_control_arvalid,
	output wire s_axi_control_arready,
	output wire [31:0] s_axi_control_rdata,
	output wire [1:0] s_axi_control_rresp,
	output wire s_axi_control_rvalid,
	input wire s_axi_control_rready,

	output wire [63:0] m_axi_rows_araddr,
	output wire [7:0] m_axi_rows_arlen,
	output wire [2:0] m_axi_rows_arsize,
	output wire [1:0] m_axi_rows_arburst,
	output wire m_axi_rows_arvalid,
	input wire m_axi_rows_arready,
	input wire [511:0] m_axi_rows_rdata,
	input wire [1:0] m_axi_rows_rresp,
	input wire m_axi_rows_rlast,
	input wire m_axi_rows_rvalid,
	output wire m_axi_rows_rready,

	output wire [63:0] m_axi_jobs_araddr,
	output wire [7:0] m_axi_jobs_arlen,
	output wire [2:0] m_axi_jobs_arsize,
	output wire [1:0] m_axi_jobs_arburst,
	output wire m_axi_jobs_arvalid,
	input wire m_axi_jobs_arready,
	input wire [511:0] m_axi_jobs_rdata,
	input wire [1:0] m_axi_jobs_rresp,
	input wire m_axi_jobs_rlast,
	input wire m_axi_jobs_rvalid,
	output wire m_axi_jobs_rready,

	output wire [63:0] m_axi_results_awaddr,
	output wire [7:0] m_axi_results_awlen,
	output wire [2:0] m_axi_results_awsize,
	output wire [1:0] m_axi_results_awburst,
	output wire m_axi_results_awvalid,
	input wire m_axi_results_awready,
	output wire [511:0] m_axi_results_wdata,
	output wire [63:0] m_axi_results_wstrb,
	output wire m_axi_results_wlast,
	output wire m_axi_results_wvalid,
	input wire m_axi_results_wready,
	input wire [1:0] m_axi_results_bresp,
	input wire m_axi_results_bvalid,
	output wire m_axi_results_bready
);
	localparam ROW_PAUSE = 64;
	wire clk = ap_clk;
	reg rst_n;
	always @(posedge clk) rst_n <= ap_rst_n;

	wire start;
	reg done;
	wire [63:0] rows, jobs, results;
	wire [31:0] count;
	veto_control #(.BUFFERS(3), .BUFFERS_AT({`VETO_SCORE_LOGITS_RESULTS, `VETO_SCORE_LOGITS_JOBS,
		`VETO_SCORE_LOGITS_ROWS}), .COUNT_AT(`VETO_SCORE_LOGITS_COUNT)) control (.clk(clk), .rst_n(rst_n), .awaddr(s_axi_control_awaddr), .awvalid(s_axi_control_awvalid),
		.awready(s_axi_control_awready), .wdata(s_axi_control_wdata), .wstrb(s_axi_control_wstrb),
		.wvalid(s_axi_control_wvalid), .wready(s_axi_control_wready), .bresp(s_axi_control_bresp),
		.bvalid(s_axi_control_bvalid), .bready(s_axi_control_bready), .araddr(s_axi_control_araddr),
		.arvalid(s_axi_control_arvalid), .arready(s_axi_control_arready), .rdata(s_axi_control_rdata),
		.rresp(s_axi_control_rresp), .rvalid(s_axi_control_rvalid), .rready(s_axi_control_rready),
		.interrupt(interrupt), .start(start), .done(done), .buffers({results, jobs, rows}),
		.count(count));

	// --- Jobs: read in order, until one is bad ---
	localparam [1:0] IDLE = 0, JOBS = 1, TRAILER = 2, ANSWERS = 3;
	reg [1:0] state;
	reg [31:0] error;
	reg [31:0] jobs_taken, rows_begun;
	reg wants_jobs;
	wire is_bad_count = count > `VETO_LAUNCH_ROWS_MAX;

	wire takes_jobs;
	veto_reader #(.OUTSTANDING(2)) job_reader (.clk(clk), .rst_n(rst_n), .run_valid(wants_jobs),
		.run_ready(takes_jobs), .run_address(jobs), .run_beats(count[14:0]), .araddr(m_axi_jobs_araddr),
		.arlen(m_axi_jobs_arlen), .arsize(m_axi_jobs_arsize), .arburst(m_axi_jobs_arburst),
		.arvalid(m_axi_jobs_arvalid), .arready(m_axi_jobs_arready),
		.burst_ends(m_axi_jobs_rvalid && m_axi_jobs_rready && m_axi_jobs_rlast));

	reg job_valid, job_failed;
	reg [63:0] job_offset;
	reg [31:0] job_vocab, job_format, job_k, job_tag;
	assign m_axi_jobs_rready = !job_valid;
	wire is_good = job_offset[5:0] == 0 && job_offset[63:38] == 0 && job_vocab != 0 && job_vocab <= `VETO_VOCAB_MAX &&
		job_format <= {30'd0, `VETO_KERNEL_BF16} && job_k <= `VETO_TOP_MAX;

	// Rows that are begun and not written: at most four.
	reg [31:0] row_tag [0:3];
	reg [5:0] row_k [0:3];
	reg [1:0] row_format [0:3];
	reg [18:0] row_vocab [0:3];
	reg [1:0] at_begun, at_fed, at_written;
	reg [2:0] unwritten, unfed;
	wire reader_ready;
	wire job_goes = job_valid && (error != 0 || !is_good || job_failed || (reader_ready && unwritten != 3'd4));
	wire begins = job_goes && error == 0 && is_good && !job_failed;
	wire row_written;
	wire feed_ready;
	wire feeds = unfed != 0 && feed_ready;
	wire job_is_wide = job_format == {30'd0, `VETO_KERNEL_FP32};
	wire [19:0] job_ceiling = {1'b0, job_vocab[18:0]} + (job_is_wide ? 20'd15 : 20'd31);

	veto_reader row_reader (.clk(clk), .rst_n(rst_n), .run_valid(begins), .run_ready(reader_ready),
		.run_address(rows + job_offset), .run_beats(job_is_wide ? job_ceiling[18:4] : job_ceiling[19:5]),
		.araddr(m_axi_rows_araddr), .arlen(m_axi_rows_arlen), .arsize(m_axi_rows_arsize),
		.arburst(m_axi_rows_arburst), .arvalid(m_axi_rows_arvalid), .arready(m_axi_rows_arready),
		.burst_ends(m_axi_rows_rvalid && m_axi_rows_rready && m_axi_rows_rlast));

	always @(posedge clk) begin
		if (!job_valid) begin
			job_valid <= m_axi_jobs_rvalid;
			job_failed <= m_axi_jobs_rresp != 0;
			job_offset <= m_axi_jobs_rdata[63:0];
			job_vocab <= m_axi_jobs_rdata[95:64];
			job_format <= m_axi_jobs_rdata[127:96];
			job_k <= m_axi_jobs_rdata[159:128];
			job_tag <= m_axi_jobs_rdata[191:160];
		end else if (job_goes) begin
			job_valid <= 0;
		end
		if (begins) begin
			row_tag[at_begun] <= job_tag;
			row_k[at_begun] <= job_k[5:0];
			row_format[at_begun] <= job_format[1:0];
			row_vocab[at_begun] <= job_vocab[18:0];
			at_begun <= at_begun + 1;
		end
		if (feeds)
			at_fed <= at_fed + 1;
		if (row_written)
			at_written <= at_written + 1;
		unwritten <= unwritten + {2'd0, begins} - {2'd0, row_written};
		unfed <= unfed + {2'd0, begins} - {2'd0, feeds};
		if (!rst_n) begin
			job_valid <= 0;
			at_begun <= 0;
			at_fed <= 0;
			at_written <= 0;
			unwritten <= 0;
			unfed <= 0;
		end
	end

	wire unused = &{1'b0, m_axi_jobs_rdata[511:192], job_ceiling[3:0]};

	// --- Rows ---
	wire beat_valid, beat_ends_chunk, beat_ends_row, beat_is_wide;
	wire [13:0] beat_number;
	wire [31:0] beat_is_there;
	wire [32*32-1:0] beat_bits;
	veto_feed #(.PAUSE(ROW_PAUSE)) feed (.clk(clk), .rst_n(rst_n), .row_valid(unfed != 0), .row_ready(feed_ready),
		.row_format(row_format[at_fed]), .row_vocab(row_vocab[at_fed]), .rdata(m_axi_rows_rdata),
		.rvalid(m_axi_rows_rvalid), .rready(m_axi_rows_rready), .is_valid(beat_valid),
		.ends_chunk(beat_ends_chunk), .ends_row(beat_ends_row), .is_wide(beat_is_wide), .number(beat_number),
		.is_there(beat_is_there), .bits(beat_bits));

	localparam LANE = 6; // clocks of veto_lane
	wire [32*32-1:0] keys;
	wire [32*28-1:0] y;
	wire [31:0] is_listed, is_on, is_nan, is_saturated;
	genvar g;
	generate
		for (g = 0; g < 32; g = g + 1) begin : lane
			veto_lane #(.FRACTION(g < 16 ? 23 : 10)) convert (.clk(clk), .bits(beat_bits[32*g+:32]),
				.is_there(beat_is_there[g]), .key(keys[32*g+:32]), .is_listed(is_listed[g]),
				.y(y[28*g+:28]), .is_on(is_on[g]), .is_nan(is_nan[g]), .is_saturated(is_saturated[g]));
		end
	endgenerate
	reg [LANE:1] lane_valid, lane_ends_chunk, lane_ends_row;
	reg lane_is_wide;
	reg [13:0] lane_number;
	always @(posedge clk) begin
		lane_valid <= {lane_valid[LANE-1:1], beat_valid};
		lane_ends_chunk <= {lane_ends_chunk[LANE-1:1], beat_ends_chunk};
		lane_ends_row <= {lane_ends_row[LANE-1:1], beat_ends_row};
		lane_is_wide <= beat_is_wide;
		lane_number <= beat_number;
		if (!rst_n)
			lane_valid <= 0;
	end

	wire top_done;
	wire [32*50-1:0] top;
	veto_top find_top (.clk(clk), .rst_n(rst_n), .is_valid(lane_valid[1]), .is_last(lane_ends_row[1]),
		.is_wide(lane_is_wide), .beat(lane_number), .keys(keys), .is_listed(is_listed), .is_done(top_done),
		.best(top));

	wire row_valid, chunk_valid, chunk_ends_row, chunk_is_on;
	wire signed [27:0] row_ymax;
	wire [18:0] row_cnt, row_n_nan, row_n_sat;
	wire signed [45:0] row_sumy;
	wire [7:0] chunk_index;
	wire signed [11:0] chunk_n;
	wire [41:0] chunk_s;
	wire [58:0] chunk_t;
	veto_chunks chunks (.clk(clk), .rst_n(rst_n), .is_valid(lane_valid[LANE]), .ends_chunk(lane_ends_chunk[LANE]),
		.ends_row(lane_ends_row[LANE]), .y(y), .is_on(is_on), .is_nan(is_nan), .is_saturated(is_saturated),
		.row_valid(row_valid), .row_ymax(row_ymax), .row_cnt(row_cnt), .row_n_nan(row_n_nan),
		.row_n_sat(row_n_sat), .row_sumy(row_sumy), .chunk_valid(chunk_valid), .chunk_ends_row(chunk_ends_row),
		.chunk_is_on(chunk_is_on), .chunk_index(chunk_index), .chunk_n(chunk_n), .chunk_s(chunk_s),
		.chunk_t(chunk_t));

	// --- Results, in the order of rows: first what is known behind a row's beats, then its sums and its best entries ---
	reg signed [27:0] known_ymax [0:3];
	reg [18:0] known_cnt [0:3], known_n_nan [0:3], known_n_sat [0:3];
	reg signed [45:0] known_sumy [0:3];
	reg [127:0] sums [0:3];
	reg [32*50-1:0] tops [0:3];
	reg [1:0] at_known, at_sums, at_tops;
	reg [2:0] sums_ready, tops_ready;
	reg row_known;
	wire merge_done;
	wire [63:0] row_s, row_t;
	veto_merge merge (.clk(clk), .rst_n(rst_n), .chunk_valid(chunk_valid), .chunk_ends_row(chunk_ends_row),
		.chunk_is_on(chunk_is_on), .chunk_index(chunk_index), .chunk_n(chunk_n), .chunk_s(chunk_s),
		.chunk_t(chunk_t), .row_known(row_known), .row_n(known_ymax[at_sums][27:16]), .is_done(merge_done), .row_s(row_s), .row_t(row_t));
	always @(posedge clk) begin
		row_known <= row_valid;
		if (row_valid) begin
			known_ymax[at_known] <= row_ymax;
			known_cnt[at_known] <= row_cnt;
			known_n_nan[at_known] <= row_n_nan;
			known_n_sat[at_known] <= row_n_sat;
			known_sumy[at_known] <= row_sumy;
			at_known <= at_known + 1;
		end
		if (merge_done) begin
			sums[at_sums] <= {row_t, row_s};
			at_sums <= at_sums + 1;
		end
		if (top_done) begin
			tops[at_tops] <= top;
			at_tops <= at_tops + 1;
		end
		sums_ready <= sums_ready + {2'd0, merge_done} - {2'd0, row_written};
		tops_ready <= tops_ready + {2'd0, top_done} - {2'd0, row_written};
		if (!rst_n) begin
			row_known <= 0;
			at_known <= 0;
			at_sums <= 0;
			at_tops <= 0;
			sums_ready <= 0;
			tops_ready <= 0;
		end
	end

	reg [2:0] part; // of a result: 0 the record, 1 to 4 its best entries
	reg [63:0] address;
	wire has_result = sums_ready != 0 && tops_ready != 0;
	wire is_on_row = known_cnt[at_written] != 0;
	wire [511:0] record = {128'd0, sums[at_written], {18{known_sumy[at_written][45]}}, known_sumy[at_written],
		row_tag[at_written], {13'd0, known_n_sat[at_written]}, {13'd0, known_n_nan[at_written]},
		{13'd0, known_cnt[at_written]},
		is_on_row ? {{4{known_ymax[at_written][27]}}, known_ymax[at_written]} : 32'h80000000,
		is_on_row ? {{20{known_ymax[at_written][27]}}, known_ymax[at_written][27:16]} : `VETO_N_EMPTY};
	wire [511:0] entries;
	wire [1:0] quarter = part[1:0] - 2'd1;
	wire [32*50-1:0] row_top = tops[at_written];
	generate
		for (g = 0; g < 8; g = g + 1) begin : place
			wire [4:0] rank = {quarter, 3'd0} + g;
			wire [49:0] entry = {1'b0, rank} < row_k[at_written] ? row_top[50*rank+:50] : 50'd0;
			assign entries[64*g+:64] = entry == 0 ? {`VETO_NO_TOKEN, 32'd0} : {14'd0, ~entry[17:0], entry[49:18]};
		end
	endgenerate
	wire [511:0] trailer = {352'd0, error, rows_begun, `VETO_FX1_VERSION, `VETO_KERNEL_CONTRACT, `VETO_KERNEL_MAGIC};

	wire writer_ready, writer_idle, write_failed;
	wire writes = state == TRAILER || (state == JOBS && has_result);
	veto_writer writer (.clk(clk), .rst_n(rst_n), .beat_valid(writes), .beat_ready(writer_ready),
		.beat_address(state == TRAILER ? results + {24'd0, count, 8'd0} + {26'd0, count, 6'd0} : address),
		.beat(state == TRAILER ? trailer : part == 0 ? record : entries), .is_idle(writer_idle),
		.awaddr(m_axi_results_awaddr), .awlen(m_axi_results_awlen), .awsize(m_axi_results_awsize),
		.awburst(m_axi_results_awburst), .awvalid(m_axi_results_awvalid), .awready(m_axi_results_awready),
		.wdata(m_axi_results_wdata), .wstrb(m_axi_results_wstrb), .wlast(m_axi_results_wlast),
		.wvalid(m_axi_results_wvalid), .wready(m_axi_results_wready), .bvalid(m_axi_results_bvalid),
		.bready(m_axi_results_bready), .has_failed(write_failed), .clears_failure(start),
		.bresp(m_axi_results_bresp));
	assign row_written = state == JOBS && has_result && writer_ready && part == 3'd4;

	// --- The launch ---
	wire has_read_failed = m_axi_rows_rvalid && m_axi_rows_rready && m_axi_rows_rresp != 0;
	always @(posedge clk) begin
		done <= 0;
		case (state)
			IDLE: if (start) begin
				state <= count == 0 || is_bad_count ? TRAILER : JOBS;
				wants_jobs <= count != 0 && !is_bad_count;
				error <= is_bad_count ? `VETO_KERNEL_BAD_COUNT : 0;
				jobs_taken <= 0;
				rows_begun <= 0;
				part <= 0;
				address <= results;
			end
			JOBS: begin
				if (wants_jobs && takes_jobs)
					wants_jobs <= 0;
				if (job_goes)
					jobs_taken <= jobs_taken + 1;
				if (begins)
					rows_begun <= rows_begun + 1;
				if (error == 0 && ((job_goes && job_failed) || has_read_failed))
					error <= `VETO_KERNEL_BAD_BUS;
				else if (error == 0 && job_goes && !is_good)
					error <= `VETO_KERNEL_BAD_JOB;
				if (has_result && writer_ready) begin
					part <= part == 3'd4 ? 0 : part + 1;
					address <= address + 64;
				end
				if (jobs_taken == count && unwritten == 0)
					state <= TRAILER;
			end
			TRAILER: if (writer_ready)
				state <= ANSWERS;
			default: if (writer_idle) begin
				if (write_failed && error == 0) begin
					error <= `VETO_KERNEL_BAD_BUS; // and say so, if that can be written
					state <= TRAILER;
				end else begin
					state <= IDLE;
					done <= 1;
				end
			end
		endcase
		if (!rst_n) begin
			state <= IDLE;
			wants_jobs <= 0;
			error <= 0;
			done <= 0;
		end
	end
endmodule
