// SPDX-License-Identifier: Apache-2.0
// The RTL twin of the kernel veto_score_hidden, with one port of weights: the same contract (veto_hw.h) and the same
// results, written apart from it.
//
// Weights flow through at a beat of 512 bits a clock, a row behind the other, while the next state of the job is read.  The
// states of a batch are multiplied one after the other.  Reset: at least 32 clocks.
`include "veto_hw.vh"

module veto_score_hidden (
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

	output wire [63:0] m_axi_states_araddr,
	output wire [7:0] m_axi_states_arlen,
	output wire [2:0] m_axi_states_arsize,
	output wire [1:0] m_axi_states_arburst,
	output wire m_axi_states_arvalid,
	input wire m_axi_states_arready,
	input wire [511:0] m_axi_states_rdata,
	input wire [1:0] m_axi_states_rresp,
	input wire m_axi_states_rlast,
	input wire m_axi_states_rvalid,
	output wire m_axi_states_rready,

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
	output wire m_axi_results_bready,

	output wire [63:0] m_axi_meta_araddr,
	output wire [7:0] m_axi_meta_arlen,
	output wire [2:0] m_axi_meta_arsize,
	output wire [1:0] m_axi_meta_arburst,
	output wire m_axi_meta_arvalid,
	input wire m_axi_meta_arready,
	input wire [511:0] m_axi_meta_rdata,
	input wire [1:0] m_axi_meta_rresp,
	input wire m_axi_meta_rlast,
	input wire m_axi_meta_rvalid,
	output wire m_axi_meta_rready,

	output wire [63:0] m_axi_weights_0_araddr,
	output wire [7:0] m_axi_weights_0_arlen,
	output wire [2:0] m_axi_weights_0_arsize,
	output wire [1:0] m_axi_weights_0_arburst,
	output wire m_axi_weights_0_arvalid,
	input wire m_axi_weights_0_arready,
	input wire [511:0] m_axi_weights_0_rdata,
	input wire [1:0] m_axi_weights_0_rresp,
	input wire m_axi_weights_0_rlast,
	input wire m_axi_weights_0_rvalid,
	output wire m_axi_weights_0_rready
);
	wire clk = ap_clk;
	reg rst_n;
	always @(posedge clk) rst_n <= ap_rst_n;

	wire start;
	reg done;
	wire [63:0] states, jobs, results, meta, weights;
	wire [31:0] count;
	veto_control #(.BUFFERS(5), .BUFFERS_AT({`VETO_SCORE_HIDDEN_WEIGHTS_0, `VETO_SCORE_HIDDEN_META,
		`VETO_SCORE_HIDDEN_RESULTS, `VETO_SCORE_HIDDEN_JOBS, `VETO_SCORE_HIDDEN_STATES}),
		.COUNT_AT(`VETO_SCORE_HIDDEN_COUNT)) control (.clk(clk), .rst_n(rst_n), .awaddr(s_axi_control_awaddr),
		.awvalid(s_axi_control_awvalid), .awready(s_axi_control_awready), .wdata(s_axi_control_wdata),
		.wstrb(s_axi_control_wstrb), .wvalid(s_axi_control_wvalid), .wready(s_axi_control_wready),
		.bresp(s_axi_control_bresp), .bvalid(s_axi_control_bvalid), .bready(s_axi_control_bready),
		.araddr(s_axi_control_araddr), .arvalid(s_axi_control_arvalid), .arready(s_axi_control_arready),
		.rdata(s_axi_control_rdata), .rresp(s_axi_control_rresp), .rvalid(s_axi_control_rvalid),
		.rready(s_axi_control_rready), .interrupt(interrupt), .start(start), .done(done),
		.buffers({weights, meta, results, jobs, states}), .count(count));

	localparam [3:0] IDLE = 0, JOB = 1, META = 2, CHECK = 3, STATE = 4, ROWS = 5, BETWEEN = 6, SECOND = 7, RESULT = 8,
		TRAILER = 9, ANSWERS = 10;
	reg [3:0] phase;
	reg [31:0] error, jobs_taken, jobs_done;

	// --- Jobs: read in order, one at a time ---
	reg wants_jobs;
	wire takes_jobs;
	wire is_bad_count = count > `VETO_LAUNCH_ROWS_MAX;
	veto_reader #(.OUTSTANDING(2)) job_reader (.clk(clk), .rst_n(rst_n), .run_valid(wants_jobs),
		.run_ready(takes_jobs), .run_address(jobs), .run_beats(count[14:0]), .araddr(m_axi_jobs_araddr),
		.arlen(m_axi_jobs_arlen), .arsize(m_axi_jobs_arsize), .arburst(m_axi_jobs_arburst),
		.arvalid(m_axi_jobs_arvalid), .arready(m_axi_jobs_arready),
		.burst_ends(m_axi_jobs_rvalid && m_axi_jobs_rready && m_axi_jobs_rlast));

	reg job_valid, job_failed;
	reg [63:0] state_offset, meta_offset, weight_offset;
	reg [31:0] cols, format, op, token, tag, batch, offset_q20;
	assign m_axi_jobs_rready = !job_valid;
	wire is_head = op == `VETO_HIDDEN_HEAD;
	wire has_lo = op == `VETO_HIDDEN_TABLE24;
	wire is_table = has_lo || op == `VETO_HIDDEN_TABLE16;
	wire is_placed = state_offset[5:0] == 0 && state_offset[63:38] == 0 && meta_offset[5:0] == 0 &&
		meta_offset[63:38] == 0 && weight_offset[5:0] == 0 && weight_offset[63:38] == 0;
	wire has_batch = batch <= `VETO_STATES_MAX;
	wire [4:0] places = has_batch ? batch[4:0] : 5'd16; // of results, done or not
	wire is_good = is_placed && cols != 0 && cols <= `VETO_STATE_MAX && format <= {30'd0, `VETO_KERNEL_BF16} &&
		((is_head && has_batch && batch != 0) || (is_table && batch == 1));
	wire job_ends;
	always @(posedge clk) begin
		if (!job_valid) begin
			job_valid <= m_axi_jobs_rvalid;
			job_failed <= m_axi_jobs_rresp != 0;
			state_offset <= m_axi_jobs_rdata[63:0];
			cols <= m_axi_jobs_rdata[95:64];
			format <= m_axi_jobs_rdata[127:96];
			op <= m_axi_jobs_rdata[159:128];
			token <= m_axi_jobs_rdata[191:160];
			tag <= m_axi_jobs_rdata[223:192];
			batch <= m_axi_jobs_rdata[255:224];
			meta_offset <= m_axi_jobs_rdata[319:256];
			weight_offset <= m_axi_jobs_rdata[383:320];
			offset_q20 <= m_axi_jobs_rdata[415:384];
		end else if (job_ends) begin
			job_valid <= 0;
		end
		if (!rst_n)
			job_valid <= 0;
	end

	// --- Of the rows: a beat on the head, then scales, for each state again; or only the beat that has the token's ---
	reg [31:0] layers, rows, second_rows, row_format, second_format, is_distance;
	wire asks_meta, meta_comes, has_scales, claims_scales, frees_scales;
	wire [63:0] meta_address = meta + meta_offset + (is_table ? {29'd0, token[31:3], 6'd0} : 64'd0);
	wire [511:0] scale_beat;
	wire [14:0] rows_up = rows[14:0] + 15'd7;
	wire [6:0] second_rows_up = second_rows[6:0] + 7'd7;
	wire has_second = is_head && layers == 2;
	wire begins;
	veto_scales scales (.clk(clk), .rst_n(rst_n), .asks(asks_meta || (begins && is_head)),
		.ask_address(asks_meta ? meta_address : meta_address + 64),
		.ask_beats(asks_meta ? 12'd1 : rows_up[14:3] + (has_second ? {8'd0, second_rows_up[6:3]} : 12'd0)),
		.ask_times(asks_meta ? 5'd1 : batch[4:0]), .comes(meta_comes), .keeps(phase != META),
		.has_more(has_scales), .claims(claims_scales), .oldest(scale_beat), .frees(frees_scales),
		.araddr(m_axi_meta_araddr), .arlen(m_axi_meta_arlen), .arsize(m_axi_meta_arsize),
		.arburst(m_axi_meta_arburst), .arvalid(m_axi_meta_arvalid), .arready(m_axi_meta_arready),
		.rdata(m_axi_meta_rdata), .rvalid(m_axi_meta_rvalid), .rready(m_axi_meta_rready),
		.rlast(m_axi_meta_rlast));
	always @(posedge clk)
		if (phase == META && meta_comes) begin
			layers <= m_axi_meta_rdata[31:0];
			rows <= m_axi_meta_rdata[63:32];
			second_rows <= m_axi_meta_rdata[95:64];
			row_format <= m_axi_meta_rdata[127:96];
			second_format <= m_axi_meta_rdata[159:128];
			is_distance <= m_axi_meta_rdata[191:160];
		end
	wire is_subspace = is_head && is_distance[0];
	wire are_rows_good = rows != 0 && rows <= (has_second ? `VETO_STATE_MAX : `VETO_HEAD_OUTPUTS_MAX) &&
		row_format <= {31'd0, `VETO_INT16};
	wire is_second_good = second_rows != 0 && second_rows <= `VETO_HEAD_OUTPUTS_MAX &&
		second_format <= {31'd0, `VETO_INT16};
	wire is_distance_good = is_distance == 0 ||
		(is_distance == 1 && layers == 1 && row_format == {31'd0, `VETO_INT16} &&
		rows <= `VETO_DISTANCE_ROWS_MAX);
	wire is_head_good = (layers == 1 || (layers == 2 && is_second_good)) && are_rows_good && is_distance_good;
	assign begins = is_table ? asks_meta : phase == CHECK && error == 0 && is_head_good;

	// --- States ---
	wire states_ready, is_held;
	wire [7:0] emax, word;
	wire [64*24-1:0] q;
	wire drops, rewrites;
	wire [9:0] rewrite_number;
	wire [16*24-1:0] rewrite_q;
	veto_state state (.clk(clk), .rst_n(rst_n), .job_valid(begins), .job_ready(states_ready),
		.job_address(states + state_offset), .job_cols(cols[14:0]), .job_format(format[1:0]),
		.job_states(batch[4:0]), .is_long(is_table), .is_held(is_held), .emax(emax), .word(word), .q(q),
		.drops(drops), .holds(phase == BETWEEN), .rewrites(rewrites), .rewrite_number(rewrite_number),
		.rewrite_q(rewrite_q), .araddr(m_axi_states_araddr), .arlen(m_axi_states_arlen), .arsize(m_axi_states_arsize),
		.arburst(m_axi_states_arburst), .arvalid(m_axi_states_arvalid), .arready(m_axi_states_arready),
		.rdata(m_axi_states_rdata), .rvalid(m_axi_states_rvalid), .rready(m_axi_states_rready),
		.rlast(m_axi_states_rlast));

	// --- Weights: each state reads those of its job from the first on ---
	// Rounded up to beats: the columns of the first layer, or of a table, and those of the second.
	wire [14:0] narrow_up = cols[14:0] + 15'd63, wide_up = cols[14:0] + 15'd31;
	wire [14:0] second_narrow_up = rows[14:0] + 15'd63, second_wide_up = rows[14:0] + 15'd31;
	wire is_first_wide = is_table || row_format[0] == `VETO_INT16;
	wire [9:0] row_beats = (is_first_wide ? wide_up[14:5] : {1'b0, narrow_up[14:6]}) +
		(has_lo ? {1'b0, narrow_up[14:6]} : 10'd0);
	wire [9:0] second_row_beats = second_format[0] == `VETO_INT16 ? second_wide_up[14:5] :
		{1'b0, second_narrow_up[14:6]};
	reg [4:0] runs; // left to be asked for
	reg [23:0] run_beats;
	reg [63:0] run_address;
	wire takes_run;
	veto_reader #(.WIDTH(24)) weight_reader (.clk(clk), .rst_n(rst_n), .run_valid(runs != 0), .run_ready(takes_run),
		.run_address(run_address), .run_beats(run_beats), .araddr(m_axi_weights_0_araddr),
		.arlen(m_axi_weights_0_arlen), .arsize(m_axi_weights_0_arsize), .arburst(m_axi_weights_0_arburst),
		.arvalid(m_axi_weights_0_arvalid), .arready(m_axi_weights_0_arready),
		.burst_ends(m_axi_weights_0_rvalid && m_axi_weights_0_rready && m_axi_weights_0_rlast));
	wire [41:0] token_beats = {10'd0, token[31:0]} * {32'd0, row_beats};
	always @(posedge clk) begin
		if (begins) begin
			runs <= batch[4:0];
			run_beats <= is_table ? {14'd0, row_beats} : {9'd0, rows[14:0]} * {14'd0, row_beats} +
				(has_second ? {17'd0, second_rows[6:0]} * {14'd0, second_row_beats} : 24'd0);
			run_address <= weights + weight_offset +
				(is_table ? {16'd0, token_beats, 6'd0} : 64'd0);
		end else if (runs != 0 && takes_run) begin
			runs <= runs - 1;
		end
		if (!rst_n)
			runs <= 0;
	end

	// --- Rows: of a distance first the state itself, whose sum is that of its squares ---
	reg in_second; // layer
	wire is_wide = in_second ? second_format[0] == `VETO_INT16 : is_first_wide;
	wire [14:0] layer_cols = in_second ? rows[14:0] : cols[14:0];
	wire [14:0] layer_rows = is_table ? 15'd1 : in_second ? {8'd0, second_rows[6:0]} : rows[14:0];
	reg is_walking, on_self, on_lo, on_first;
	reg [14:0] row;
	reg [14:0] left; // of the row
	reg [8:0] beat; // of the row
	wire begins_rows = phase == STATE || phase == SECOND;
	wire is_narrow = !on_self && (on_lo || !is_wide);
	wire [14:0] lanes = is_narrow ? 15'd64 : 15'd32;
	wire plane_ends = left <= lanes;
	wire row_ends = plane_ends && !(has_lo && !on_lo);
	wire needs_scales = on_first && row[2:0] == 0 && !on_self;
	wire takes = is_walking && (on_self || (m_axi_weights_0_rvalid && m_axi_weights_0_rready));
	assign m_axi_weights_0_rready = is_walking && !on_self && (!needs_scales || has_scales);
	assign claims_scales = takes && needs_scales;
	assign word = is_narrow ? beat[7:0] : beat[8:1];

	reg valid1, starts1, ends1, narrow1, signed1, high1, self1, upper1;
	reg [6:0] lanes1;
	reg [511:0] data1;
	always @(posedge clk) begin
		if (begins_rows) begin
			is_walking <= phase == SECOND || is_held;
			on_self <= is_subspace;
			on_lo <= 0;
			on_first <= 1;
			row <= 0;
			left <= layer_cols;
			beat <= 0;
		end else if (takes) begin
			left <= plane_ends ? layer_cols : left - lanes;
			beat <= plane_ends ? 0 : beat + 1;
			on_first <= row_ends;
			if (plane_ends) begin
				on_self <= 0;
				on_lo <= has_lo && !on_lo;
			end
			if (row_ends && !on_self) begin
				row <= row + 1;
				is_walking <= row + 1 != layer_rows;
			end
		end
		valid1 <= takes;
		starts1 <= on_first;
		ends1 <= row_ends;
		narrow1 <= is_narrow;
		signed1 <= !on_lo;
		high1 <= is_table && !on_lo;
		self1 <= on_self;
		upper1 <= beat[0];
		lanes1 <= plane_ends ? left[6:0] : lanes[6:0];
		data1 <= m_axi_weights_0_rdata;
		if (!rst_n) begin
			is_walking <= 0;
			valid1 <= 0;
		end
	end

	wire row_valid;
	wire signed [61:0] row_sum;
	veto_products products (.clk(clk), .rst_n(rst_n), .is_valid(valid1), .starts_row(starts1), .ends_row(ends1),
		.is_narrow(narrow1), .is_signed(signed1), .is_high(high1), .is_self(self1), .is_upper_half(upper1),
		.lanes(lanes1), .data(data1), .q(q), .row_valid(row_valid), .sum(row_sum));

	localparam END = 5; // clocks of veto_row_end
	reg needs_squares;
	reg [63:0] squares;
	reg [14:0] rows_ended, rows_known;
	reg [END:1] end_valid;
	wire [2:0] scale_at = is_table ? token[2:0] : rows_ended[2:0];
	wire [63:0] scale = scale_beat[64*scale_at+:64];
	wire row_counts = row_valid && !needs_squares;
	assign frees_scales = row_counts && (rows_ended[2:0] == 3'd7 || rows_ended + 1 == layer_rows);
	wire [4:0] between_log2;
	wire signed [17:0] exponent = in_second ? 18'sd111 + {13'd0, between_log2} : {10'd0, emax}; // 127 above E
	wire signed [17:0] scale_shift = {{2{scale[31]}}, scale[31:16]};
	wire signed [17:0] scale_f = {{2{scale[15]}}, scale[15:0]};
	wire signed [31:0] z;
	veto_row_end row_end (.clk(clk), .sum(row_sum), .has_scale(is_head), .mant(scale[15:0]),
		.s(is_table ? 18'sd151 - exponent - scale_f : is_subspace ? scale_shift - 18'sd8 :
			scale_shift + 18'sd125 - exponent),
		.addend({{2{scale[63]}}, scale[63:32]} - (is_table ? {{2{offset_q20[31]}}, offset_q20} : 34'd0)),
		.is_part(is_subspace), .z(z));

	wire z_valid = end_valid[END];
	wire goes_between = has_second && !in_second;
	reg [511:0] outputs_known [0:3];
	always @(posedge clk) begin
		if (begins_rows) begin
			needs_squares <= is_subspace;
			rows_ended <= 0;
			rows_known <= 0;
		end else if (row_valid) begin
			needs_squares <= 0;
			if (needs_squares)
				squares <= {2'd0, row_sum};
			else
				rows_ended <= rows_ended + 1;
		end
		end_valid <= {end_valid[END-1:1], row_counts};
		if (z_valid) begin
			if (!goes_between)
				outputs_known[rows_known[5:4]][32*rows_known[3:0]+:32] <= z;
			rows_known <= rows_known + 1;
		end
		if (!rst_n)
			end_valid <= 0;
	end

	wire between_done;
	wire are_rows_known = phase == ROWS && rows_known == layer_rows;
	veto_between between (.clk(clk), .rst_n(rst_n), .clears(phase == STATE), .z_valid(z_valid && goes_between), .z(z),
		.starts(are_rows_known && goes_between), .is_done(between_done), .log2(between_log2), .q_valid(rewrites),
		.q_number(rewrite_number), .q(rewrite_q));

	// --- Results ---
	reg [4:0] states_left;
	reg [2:0] part; // of a result: 0 the state's beat, 1 to 4 its outputs
	reg [63:0] address;
	wire is_bad = emax == 8'd255;
	wire [1:0] quarter = part[1:0] - 2'd1;
	wire [511:0] quarter_known = outputs_known[quarter];
	wire [511:0] quarter_out;
	genvar g;
	generate
		for (g = 0; g < 16; g = g + 1) begin : out
			wire [14:0] output_row = {9'd0, quarter, 4'd0} + g;
			assign quarter_out[32*g+:32] = is_head && !is_bad && output_row < layer_rows ? quarter_known[32*g+:32] : 0;
		end
	endgenerate
	wire has_distance = is_subspace && !is_bad;
	wire [511:0] of_state = {320'd0, has_distance ? squares : 64'd0,
		has_distance ? {24'd0, emax} - 32'd127 : 32'd0,
		is_table && !is_bad ? outputs_known[0][31:0] : 32'd0, tag,
		is_bad ? `VETO_HIDDEN_BAD_STATE : 32'd0};
	wire [511:0] trailer = {352'd0, error, jobs_done, `VETO_HX1_VERSION, `VETO_KERNEL_CONTRACT, `VETO_KERNEL_MAGIC};

	wire writer_ready, writer_idle, write_failed;
	wire result_ends = phase == RESULT && writer_ready && part == 3'd4;
	assign drops = result_ends;
	veto_writer writer (.clk(clk), .rst_n(rst_n), .beat_valid(phase == TRAILER || phase == RESULT),
		.beat_ready(writer_ready), .beat_address(address),
		.beat(phase == TRAILER ? trailer : part == 0 ? of_state : quarter_out), .is_idle(writer_idle),
		.awaddr(m_axi_results_awaddr), .awlen(m_axi_results_awlen), .awsize(m_axi_results_awsize),
		.awburst(m_axi_results_awburst), .awvalid(m_axi_results_awvalid), .awready(m_axi_results_awready),
		.wdata(m_axi_results_wdata), .wstrb(m_axi_results_wstrb), .wlast(m_axi_results_wlast),
		.wvalid(m_axi_results_wvalid), .wready(m_axi_results_wready), .bvalid(m_axi_results_bvalid),
		.bready(m_axi_results_bready), .has_failed(write_failed), .clears_failure(start),
		.bresp(m_axi_results_bresp));

	// --- The launch ---
	wire is_skipped = phase == JOB && job_valid && error != 0;
	wire job_done = result_ends && states_left == 1;
	assign job_ends = is_skipped || job_done;
	assign asks_meta = phase == JOB && job_valid && error == 0 && !job_failed && is_good;
	wire has_read_failed = (meta_comes && m_axi_meta_rresp != 0) ||
		(m_axi_states_rvalid && m_axi_states_rready && m_axi_states_rresp != 0) ||
		(m_axi_weights_0_rvalid && m_axi_weights_0_rready && m_axi_weights_0_rresp != 0);
	always @(posedge clk) begin
		done <= 0;
		if (wants_jobs && takes_jobs)
			wants_jobs <= 0;
		if (begins) begin
			states_left <= batch[4:0];
			in_second <= 0;
		end
		if (job_ends)
			jobs_taken <= jobs_taken + 1;
		case (phase)
			IDLE: if (start) begin
				phase <= count == 0 || is_bad_count ? TRAILER : JOB;
				wants_jobs <= count != 0 && !is_bad_count;
				error <= is_bad_count ? `VETO_KERNEL_BAD_COUNT : 0;
				jobs_taken <= 0;
				jobs_done <= 0;
				part <= 0;
				address <= results;
			end
			JOB: if (is_skipped)
				address <= address + {51'd0, places, 8'd0} + {53'd0, places, 6'd0};
			else if (job_valid && job_failed)
				error <= `VETO_KERNEL_BAD_BUS;
			else if (job_valid && !is_good)
				error <= `VETO_KERNEL_BAD_JOB;
			else if (job_valid)
				phase <= is_table ? STATE : META;
			else if (jobs_taken == count)
				phase <= TRAILER;
			META: if (meta_comes)
				phase <= CHECK;
			CHECK: begin
				phase <= begins ? STATE : JOB;
				if (!begins && error == 0)
					error <= `VETO_KERNEL_BAD_JOB;
			end
			STATE: if (is_held)
				phase <= ROWS;
			ROWS: if (are_rows_known)
				phase <= goes_between ? BETWEEN : RESULT;
			BETWEEN: if (between_done) begin
				in_second <= 1;
				phase <= SECOND;
			end
			SECOND: phase <= ROWS;
			RESULT: if (writer_ready) begin
				part <= result_ends ? 0 : part + 1;
				address <= address + 64;
				if (result_ends) begin
					states_left <= states_left - 1;
					in_second <= 0;
					phase <= job_done ? JOB : STATE;
				end
				if (job_done && error == 0)
					jobs_done <= jobs_done + 1;
			end
			TRAILER: if (writer_ready)
				phase <= ANSWERS;
			default: if (writer_idle) begin
				if (write_failed && error == 0) begin
					error <= `VETO_KERNEL_BAD_BUS; // and say so, if that can be written
					phase <= TRAILER;
				end else begin
					phase <= IDLE;
					done <= 1;
				end
			end
		endcase
		if (has_read_failed && error == 0)
			error <= `VETO_KERNEL_BAD_BUS;
		if (!rst_n) begin
			phase <= IDLE;
			wants_jobs <= 0;
			error <= 0;
			done <= 0;
		end
	end
	wire unused = &{1'b0, m_axi_jobs_rdata[511:416], states_ready, narrow_up[5:0], wide_up[4:0],
		second_narrow_up[5:0], second_wide_up[4:0], rows_up[2:0], second_rows_up[2:0]};
endmodule
