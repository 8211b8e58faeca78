// SPDX-License-Identifier: Apache-2.0
// The 32 best entries of a row, a beat a clock in whatever order they come.
//
// Each beat is sorted in a network of fifteen stages.  Behind it a ring of six stages holds six lists in turn: the list
// that comes round takes the beat's best entries in its first stage and is sorted again in the other five.  Behind the
// row's last beat the six lists are merged into one by the same ring, which takes DRAIN clocks: as long, the next row
// must stay away.
`include "veto_hw.vh"

module veto_top (
	input wire clk,
	input wire rst_n,
	input wire is_valid, // a beat
	input wire is_last, // of its row
	input wire is_wide, // 16 fp32 lanes a beat, else 32
	input wire [13:0] beat, // its number in its row
	input wire [32*32-1:0] keys,
	input wire [31:0] is_listed,
	output reg is_done,
	output wire [32*50-1:0] best // falling; each entry a key, then the complement of its id; 0: none
);
	localparam STAGES = 15;
	localparam LISTS = 6;

	// --- The network: entries are a key, then the complement of the lane, so that equal keys go to the lower lane. ---
	(* mem2reg *) reg [36:0] v [0:32*(STAGES+1)-1];
	reg [STAGES:0] valid, last, wide;
	(* mem2reg *) reg [13:0] number [0:STAGES];
	integer i;
	always @(posedge clk) begin
		number[0] <= beat;
		for (i = 0; i < STAGES; i = i + 1)
			number[i+1] <= number[i];
		wide <= {wide[STAGES-1:0], is_wide};
		valid <= {valid[STAGES-1:0], is_valid};
		last <= {last[STAGES-1:0], is_last};
		if (!rst_n)
			valid <= 0;
	end
	genvar run, span, p;
	generate
		for (p = 0; p < 32; p = p + 1) begin : entry
			localparam [4:0] LANE = p;
			always @(posedge clk) v[p] <= is_valid && is_listed[p] ? {keys[32*p+:32], ~LANE} : 37'd0;
		end
		// Runs of 2^run lanes are brought into falling order, every other one but the last into rising, over
		// distances of 2^span.
		for (run = 1; run <= 5; run = run + 1) begin : length
			for (span = 0; span < run; span = span + 1) begin : distance
				localparam FROM = 32 * (run * (run - 1) / 2 + run - 1 - span);
				for (p = 0; p < 16; p = p + 1) begin : pair
					localparam HIGH = (p >> span << (span + 1)) + p % (1 << span);
					localparam LOW = HIGH + (1 << span);
					localparam [0:0] IS_FALLING = (HIGH >> run) % 2 == 0;
					wire swaps = (v[FROM+HIGH] < v[FROM+LOW]) == IS_FALLING;
					always @(posedge clk) begin
						v[FROM+32+HIGH] <= swaps ? v[FROM+LOW] : v[FROM+HIGH];
						v[FROM+32+LOW] <= swaps ? v[FROM+HIGH] : v[FROM+LOW];
					end
				end
			end
		end
	endgenerate

	// --- The ring ---
	(* mem2reg *) reg [49:0] ring [0:32*LISTS-1];
	(* mem2reg *) reg [49:0] held [0:31];
	reg [5:0] drain; // clocks since a row's last beat; 0: none is over
	reg [2:0] turn;
	wire is_draining = drain != 0;
	wire is_taken = is_draining && turn == 0; // the list that comes round leaves the ring
	generate
		for (p = 0; p < 32; p = p + 1) begin : first
			wire [36:0] sorted = v[32*STAGES+31-p];
			wire [17:0] id = wide[STAGES] ? {number[STAGES], ~sorted[3:0]} : {number[STAGES][12:0], ~sorted[4:0]};
			wire [49:0] round = ring[32*(LISTS-1)+p];
			wire [49:0] in = is_draining ? (turn == 1 ? held[31-p] : 50'd0) :
				valid[STAGES] && sorted[36:5] != 0 ? {sorted[36:5], ~id} : 50'd0;
			always @(posedge clk) begin
				ring[p] <= is_taken || !rst_n ? 50'd0 : in > round ? in : round;
				if (is_taken)
					held[p] <= round;
			end
			assign best[50*p+:50] = held[p];
		end
		for (span = 0; span < 5; span = span + 1) begin : again
			localparam FROM = 32 * (4 - span);
			for (p = 0; p < 16; p = p + 1) begin : pair
				localparam HIGH = (p >> span << (span + 1)) + p % (1 << span);
				localparam LOW = HIGH + (1 << span);
				wire swaps = ring[FROM+HIGH] < ring[FROM+LOW];
				always @(posedge clk) begin
					ring[FROM+32+HIGH] <= swaps ? ring[FROM+LOW] : ring[FROM+HIGH];
					ring[FROM+32+LOW] <= swaps ? ring[FROM+HIGH] : ring[FROM+LOW];
				end
			end
		end
	endgenerate

	// One list leaves, meets the next, and comes round a clock later than all.
	localparam DRAIN = LISTS * LISTS;
	always @(posedge clk) begin
		is_done <= drain == DRAIN[5:0];
		if (!rst_n || drain == DRAIN[5:0]) begin
			drain <= 0;
			turn <= 0;
		end else if (is_draining || (valid[STAGES] && last[STAGES])) begin
			drain <= drain + 1;
			turn <= !is_draining || turn == LISTS[2:0] ? 0 : turn + 1;
		end
	end
endmodule
