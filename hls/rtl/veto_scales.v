// SPDX-License-Identifier: Apache-2.0
// Reads what is said of rows, eight to a beat, and holds it until they end: 16 beats.
module veto_scales (
	input wire clk,
	input wire rst_n,
	// So many beats from an address on, so many times.
	input wire asks,
	input wire [63:0] ask_address,
	input wire [11:0] ask_beats,
	input wire [4:0] ask_times,
	// A beat comes, to be held or not.
	output wire comes,
	input wire keeps,
	// Rows that begin claim a beat that has come; when the last of them has ended, they free the oldest.
	output wire has_more,
	input wire claims,
	output wire [511:0] oldest,
	input wire frees,
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
	reg [4:0] times, held, unclaimed;
	reg [63:0] address;
	reg [11:0] beats;
	wire run_ready;
	veto_reader #(.OUTSTANDING(2)) reader (.clk(clk), .rst_n(rst_n), .run_valid(times != 0), .run_ready(run_ready),
		.run_address(address), .run_beats({3'd0, beats}), .araddr(araddr), .arlen(arlen), .arsize(arsize),
		.arburst(arburst), .arvalid(arvalid), .arready(arready), .burst_ends(comes && rlast));

	reg [511:0] memory [0:15];
	reg [3:0] at_write, at_read;
	assign rready = held != 5'd16;
	assign comes = rvalid && rready;
	assign has_more = unclaimed != 0;
	assign oldest = memory[at_read];
	wire writes = comes && keeps;
	always @(posedge clk) begin
		if (asks) begin
			times <= ask_times;
			address <= ask_address;
			beats <= ask_beats;
		end else if (times != 0 && run_ready) begin
			times <= times - 1;
		end
		if (writes) begin
			memory[at_write] <= rdata;
			at_write <= at_write + 1;
		end
		if (frees)
			at_read <= at_read + 1;
		held <= held + {4'd0, writes} - {4'd0, frees};
		unclaimed <= unclaimed + {4'd0, writes} - {4'd0, claims};
		if (!rst_n) begin
			times <= 0;
			at_write <= 0;
			at_read <= 0;
			held <= 0;
			unclaimed <= 0;
		end
	end
endmodule
