// SPDX-License-Identifier: Apache-2.0
// Reads runs of beats over an AXI4 master port: bursts of up to 64 beats, none across a boundary of 4 KiB, up to
// OUTSTANDING of them on their way.  Beats come to whoever takes rvalid and rready of the port.
module veto_reader #(
	parameter OUTSTANDING = 16,
	parameter WIDTH = 15
) (
	input wire clk,
	input wire rst_n,
	// A run that is wanted.
	input wire run_valid,
	output wire run_ready,
	input wire [63:0] run_address, // a multiple of 64
	input wire [WIDTH-1:0] run_beats, // above 0
	// The port.
	output reg [63:0] araddr,
	output reg [7:0] arlen,
	output wire [2:0] arsize,
	output wire [1:0] arburst,
	output reg arvalid,
	input wire arready,
	input wire burst_ends // rvalid, rready and rlast
);
	assign arsize = 3'd6;
	assign arburst = 2'd1;

	reg [63:0] address;
	reg [WIDTH-1:0] left;
	reg [4:0] bursts;
	wire [6:0] room = 7'd64 - {1'b0, address[11:6]}; // beats up to the boundary
	wire [6:0] beats = left < {{WIDTH-7{1'b0}}, room} ? left[6:0] : room;
	wire issues = left != 0 && !(arvalid && !arready) && bursts != OUTSTANDING[4:0];

	assign run_ready = left == 0;
	always @(posedge clk) begin
		if (run_valid && run_ready) begin
			address <= run_address;
			left <= run_beats;
		end else if (issues) begin
			address <= address + {51'd0, beats, 6'd0};
			left <= left - {{WIDTH-7{1'b0}}, beats};
		end
		if (issues) begin
			araddr <= address;
			arlen <= {1'b0, beats - 7'd1};
		end
		if (issues || arready)
			arvalid <= issues;
		bursts <= bursts + {4'd0, issues} - {4'd0, burst_ends};
		if (!rst_n) begin
			left <= 0;
			arvalid <= 0;
			bursts <= 0;
		end
	end
endmodule
