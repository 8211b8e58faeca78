// SPDX-License-Identifier: Apache-2.0
// s_axi_control: the registers of a kernel as Vitis lays them out (ap_ctrl_hs), over AXI4-Lite.  Arguments: addresses of
// buffers, and a count.
module veto_control #(
	parameter BUFFERS = 3,
	parameter [12*BUFFERS-1:0] BUFFERS_AT = 0, // their registers, the first lowest
	parameter [11:0] COUNT_AT = 0
) (
	input wire clk,
	input wire rst_n,
	input wire [11:0] awaddr,
	input wire awvalid,
	output wire awready,
	input wire [31:0] wdata,
	input wire [3:0] wstrb,
	input wire wvalid,
	output wire wready,
	output wire [1:0] bresp,
	output reg bvalid,
	input wire bready,
	input wire [11:0] araddr,
	input wire arvalid,
	output wire arready,
	output reg [31:0] rdata,
	output wire [1:0] rresp,
	output reg rvalid,
	input wire rready,
	output wire interrupt,
	// The kernel: starts on a pulse, and gives one when it is done.
	output reg start,
	input wire done,
	output reg [64*BUFFERS-1:0] buffers, // the first lowest
	output reg [31:0] count
);
	localparam [11:0] CONTROL = 12'h000, GLOBAL_ENABLE = 12'h004, ENABLE = 12'h008, STATUS = 12'h00c;

	reg is_busy, is_done, global_enable;
	reg [1:0] enable, status; // done, ready
	assign interrupt = global_enable && status != 0;
	assign bresp = 0;
	assign rresp = 0;

	// An address and its data are taken together.
	wire writes = rst_n && awvalid && wvalid && !bvalid;
	assign awready = writes;
	assign wready = writes;
	wire [11:0] write_at = {awaddr[11:2], 2'd0};
	wire [31:0] mask = {{8{wstrb[3]}}, {8{wstrb[2]}}, {8{wstrb[1]}}, {8{wstrb[0]}}};
	wire [31:0] data = wdata & mask;

	assign arready = rst_n && !rvalid;
	wire reads = arvalid && arready;
	wire [11:0] read_at = {araddr[11:2], 2'd0};
	wire starts = writes && write_at == CONTROL && data[0] && !is_busy && !start;

	wire unused = &{1'b0, awaddr[1:0], araddr[1:0]}; // registers are words

	// The register of half an address.
	function [11:0] half_at;
		input integer half;
		half_at = BUFFERS_AT[12*(half/2)+:12] + (half % 2 != 0 ? 12'd4 : 12'd0);
	endfunction

	integer i;
	always @(posedge clk) begin
		if (writes)
			bvalid <= 1;
		else if (bready)
			bvalid <= 0;
		start <= starts;
		if (starts)
			is_busy <= 1;
		else if (done)
			is_busy <= 0;
		if (done)
			is_done <= 1;
		else if (reads && read_at == CONTROL)
			is_done <= 0;
		if (writes)
			case (write_at)
				GLOBAL_ENABLE: global_enable <= data[0];
				ENABLE: enable <= data[1:0];
				COUNT_AT: count <= (count & ~mask) | data;
				default: ;
			endcase
		for (i = 0; i < 2 * BUFFERS; i = i + 1)
			if (writes && write_at == half_at(i))
				buffers[32*i+:32] <= (buffers[32*i+:32] & ~mask) | data;
		// Written ones toggle.
		status <= (status ^ (writes && write_at == STATUS ? data[1:0] : 2'd0)) | (done ? enable : 2'd0);

		if (reads) begin
			rvalid <= 1;
			case (read_at)
				CONTROL: rdata <= {28'd0, is_done, !is_busy, is_done, is_busy};
				GLOBAL_ENABLE: rdata <= {31'd0, global_enable};
				ENABLE: rdata <= {30'd0, enable};
				STATUS: rdata <= {30'd0, status};
				COUNT_AT: rdata <= count;
				default: rdata <= 0;
			endcase
			for (i = 0; i < 2 * BUFFERS; i = i + 1)
				if (read_at == half_at(i))
					rdata <= buffers[32*i+:32];
		end else if (rready) begin
			rvalid <= 0;
		end
		if (!rst_n) begin
			bvalid <= 0;
			rvalid <= 0;
			start <= 0;
			is_busy <= 0;
			is_done <= 0;
			global_enable <= 0;
			enable <= 0;
			status <= 0;
		end
	end
endmodule
