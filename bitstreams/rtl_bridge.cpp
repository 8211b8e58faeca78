// SPDX-License-Identifier: Apache-2.0
// Between Verilator's C++ and C: the pins.
#include "rtl_bridge.h"

#include "Vveto_score_hidden.h"
#include "Vveto_score_logits.h"
#include "verilated.h"

#include <cstring>
#include <new>

double sc_time_stamp() { return 0; } // which Verilator's library refers to

#define IN(group, port, pin) top->port##_##pin = pins->group.pin
#define OUT(group, port, pin) pins->group.pin = top->port##_##pin

#define READ_IN(number, port)                                                                                          \
	IN(read[number], port, arready), IN(read[number], port, rvalid), IN(read[number], port, rlast),                \
		IN(read[number], port, rresp),                                                                         \
		std::memcpy(top->port##_rdata.data(), pins->read[number].rdata, sizeof(pins->read[number].rdata))
#define READ_OUT(number, port)                                                                                         \
	OUT(read[number], port, arvalid), OUT(read[number], port, arlen), OUT(read[number], port, arsize),             \
		OUT(read[number], port, arburst), OUT(read[number], port, rready), OUT(read[number], port, araddr)

// What a kernel has of its own.
static uint32_t reads_of(Vveto_score_logits *) { return 2; }

static void set_reads(Vveto_score_logits *top, const rtl_pins *pins)
{
	READ_IN(0, m_axi_rows);
	READ_IN(1, m_axi_jobs);
}

static void get_reads(Vveto_score_logits *top, rtl_pins *pins)
{
	READ_OUT(0, m_axi_rows);
	READ_OUT(1, m_axi_jobs);
}

static uint32_t reads_of(Vveto_score_hidden *) { return 4; }

static void set_reads(Vveto_score_hidden *top, const rtl_pins *pins)
{
	READ_IN(0, m_axi_states);
	READ_IN(1, m_axi_jobs);
	READ_IN(2, m_axi_meta);
	READ_IN(3, m_axi_weights_0);
}

static void get_reads(Vveto_score_hidden *top, rtl_pins *pins)
{
	READ_OUT(0, m_axi_states);
	READ_OUT(1, m_axi_jobs);
	READ_OUT(2, m_axi_meta);
	READ_OUT(3, m_axi_weights_0);
}

// And what all of them have.
template <class Top> struct simulation : rtl_bridge {
	VerilatedContext context;
	Top *top;
};

template <class Top> static Top *top_of(rtl_bridge *bridge) { return static_cast<simulation<Top> *>(bridge)->top; }

template <class Top> static void bridge_free(rtl_bridge *bridge)
{
	simulation<Top> *s = static_cast<simulation<Top> *>(bridge);

	s->top->final();
	delete s->top;
	delete s;
}

template <class Top> static void bridge_settle(rtl_bridge *bridge, rtl_pins *pins)
{
	Top *top = top_of<Top>(bridge);

	top->ap_clk = 0;
	top->ap_rst_n = pins->ap_rst_n;
	top->s_axi_control_wstrb = 15;
	IN(control, s_axi_control, awaddr), IN(control, s_axi_control, araddr), IN(control, s_axi_control, wdata);
	IN(control, s_axi_control, awvalid), IN(control, s_axi_control, wvalid), IN(control, s_axi_control, bready);
	IN(control, s_axi_control, arvalid), IN(control, s_axi_control, rready);
	set_reads(top, pins);
	IN(results, m_axi_results, awready), IN(results, m_axi_results, wready);
	IN(results, m_axi_results, bvalid), IN(results, m_axi_results, bresp);
	top->eval();

	pins->interrupt = top->__SYM__interrupt; // as Verilator spells a name that C++ libraries use
	OUT(control, s_axi_control, awready), OUT(control, s_axi_control, wready), OUT(control, s_axi_control, bvalid);
	OUT(control, s_axi_control, arready), OUT(control, s_axi_control, rvalid), OUT(control, s_axi_control, rdata);
	get_reads(top, pins);
	OUT(results, m_axi_results, awvalid), OUT(results, m_axi_results, awlen), OUT(results, m_axi_results, awsize);
	OUT(results, m_axi_results, awburst), OUT(results, m_axi_results, awaddr);
	OUT(results, m_axi_results, wvalid), OUT(results, m_axi_results, wlast), OUT(results, m_axi_results, wstrb);
	OUT(results, m_axi_results, bready);
	std::memcpy(pins->results.wdata, top->m_axi_results_wdata.data(), sizeof(pins->results.wdata));
}

template <class Top> static void bridge_clock(rtl_bridge *bridge)
{
	top_of<Top>(bridge)->ap_clk = 1;
	top_of<Top>(bridge)->eval();
}

template <class Top> static rtl_bridge *bridge_new()
{
	simulation<Top> *s = new (std::nothrow) simulation<Top>;

	if (!s)
		return nullptr;
	s->context.randReset(2);
	s->top = new (std::nothrow) Top(&s->context);
	if (!s->top) {
		delete s;
		return nullptr;
	}
	s->reads = reads_of(s->top);
	s->free = bridge_free<Top>;
	s->settle = bridge_settle<Top>;
	s->clock = bridge_clock<Top>;
	return s;
}

rtl_bridge *rtl_bridge_logits_new(void) { return bridge_new<Vveto_score_logits>(); }
rtl_bridge *rtl_bridge_hidden_new(void) { return bridge_new<Vveto_score_hidden>(); }
