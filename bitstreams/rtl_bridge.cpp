// SPDX-License-Identifier: Apache-2.0
// Between Verilator's C++ and C: the pins.
#include "rtl_bridge.h"

#include "Vveto_score_logits.h"
#include "verilated.h"

#include <cstring>
#include <new>

double sc_time_stamp() { return 0; } // which Verilator's library refers to

struct rtl_bridge {
	VerilatedContext context;
	Vveto_score_logits *top;
};

rtl_bridge *rtl_bridge_new(void)
{
	rtl_bridge *bridge = new (std::nothrow) rtl_bridge;

	if (!bridge)
		return nullptr;
	bridge->context.randReset(2);
	bridge->top = new (std::nothrow) Vveto_score_logits(&bridge->context);
	if (bridge->top)
		return bridge;
	delete bridge;
	return nullptr;
}

void rtl_bridge_free(rtl_bridge *bridge)
{
	if (!bridge)
		return;
	bridge->top->final();
	delete bridge->top;
	delete bridge;
}

#define IN(group, port, pin) top->port##_##pin = pins->group.pin
#define OUT(group, port, pin) pins->group.pin = top->port##_##pin

#define READ_IN(group, port)                                                                                           \
	IN(group, port, arready), IN(group, port, rvalid), IN(group, port, rlast), IN(group, port, rresp),             \
		std::memcpy(top->port##_rdata.data(), pins->group.rdata, sizeof(pins->group.rdata))
#define READ_OUT(group, port)                                                                                          \
	OUT(group, port, arvalid), OUT(group, port, arlen), OUT(group, port, arsize), OUT(group, port, arburst),       \
		OUT(group, port, rready), OUT(group, port, araddr)

void rtl_bridge_settle(rtl_bridge *bridge, rtl_pins *pins)
{
	Vveto_score_logits *top = bridge->top;

	top->ap_clk = 0;
	top->ap_rst_n = pins->ap_rst_n;
	top->s_axi_control_wstrb = 15;
	IN(control, s_axi_control, awaddr), IN(control, s_axi_control, araddr), IN(control, s_axi_control, wdata);
	IN(control, s_axi_control, awvalid), IN(control, s_axi_control, wvalid), IN(control, s_axi_control, bready);
	IN(control, s_axi_control, arvalid), IN(control, s_axi_control, rready);
	READ_IN(rows, m_axi_rows);
	READ_IN(jobs, m_axi_jobs);
	IN(results, m_axi_results, awready), IN(results, m_axi_results, wready);
	IN(results, m_axi_results, bvalid), IN(results, m_axi_results, bresp);
	top->eval();

	pins->interrupt = top->__SYM__interrupt; // as Verilator spells a name that C++ libraries use
	OUT(control, s_axi_control, awready), OUT(control, s_axi_control, wready), OUT(control, s_axi_control, bvalid);
	OUT(control, s_axi_control, arready), OUT(control, s_axi_control, rvalid), OUT(control, s_axi_control, rdata);
	READ_OUT(rows, m_axi_rows);
	READ_OUT(jobs, m_axi_jobs);
	OUT(results, m_axi_results, awvalid), OUT(results, m_axi_results, awlen), OUT(results, m_axi_results, awsize);
	OUT(results, m_axi_results, awburst), OUT(results, m_axi_results, awaddr);
	OUT(results, m_axi_results, wvalid), OUT(results, m_axi_results, wlast), OUT(results, m_axi_results, wstrb);
	OUT(results, m_axi_results, bready);
	std::memcpy(pins->results.wdata, top->m_axi_results_wdata.data(), sizeof(pins->results.wdata));
}

void rtl_bridge_clock(rtl_bridge *bridge)
{
	bridge->top->ap_clk = 1;
	bridge->top->eval();
}
