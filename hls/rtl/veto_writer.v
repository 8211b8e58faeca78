// SPDX-License-Identifier: Apache-2.0
// Writes beats over an AXI4 master port, one a burst: results are few.
module veto_writer (
	input wire clk,
	input wire rst_n,
	input wire beat_valid,
	output wire beat_ready,
	input wire [63:0] beat_address,
	input wire [511:0] beat,
	output wire is_idle, // every beat is written and answered
	output reg has_failed, // an answer was an error
	input wire clears_failure,
	// The port.
	output reg [63:0] awaddr,
	output wire [7:0] awlen,
	output wire [2:0] awsize,
	output wire [1:0] awburst,
	output reg awvalid,
	input wire awready,
	output reg [511:0] wdata,
	output wire [63:0] wstrb,
	output wire wlast,
	output reg wvalid,
	input wire wready,
	input wire [1:0] bresp,
	input wire bvalid,
	output wire bready
);
	assign awlen = 0;
	assign awsize = 3'd6;
	assign awburst = 2'd1;
	assign wstrb = {64{1'b1}};
	assign wlast = 1;
	assign bready = 1;

	reg [4:0] unanswered;
	assign beat_ready = !(awvalid && !awready) && !(wvalid && !wready) && unanswered != 5'd31;
	wire takes = beat_valid && beat_ready;
	assign is_idle = unanswered == 0;
	always @(posedge clk) begin
		if (takes) begin
			awaddr <= beat_address;
			wdata <= beat;
		end
		if (takes || awready)
			awvalid <= takes;
		if (takes || wready)
			wvalid <= takes;
		unanswered <= unanswered + {4'd0, takes} - {4'd0, bvalid};
		has_failed <= (has_failed && !clears_failure) || (bvalid && bresp != 0);
		if (!rst_n) begin
			awvalid <= 0;
			wvalid <= 0;
			unanswered <= 0;
			has_failed <= 0;
		end
	end
endmodule
