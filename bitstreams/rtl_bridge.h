/* SPDX-License-Identifier: Apache-2.0 */
/* The pins of the kernels, whose Verilog Verilator has made C++ of, for whoever plays their host and their memory. */
#ifndef VETO_RTL_BRIDGE_H
#define VETO_RTL_BRIDGE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Names are those of AXI4 and AXI4-Lite; "in" is what the kernel sees. */
struct rtl_control_pins {
	/* in */
	uint16_t awaddr, araddr;
	uint32_t wdata;
	uint8_t awvalid, wvalid, bready, arvalid, rready;
	/* out */
	uint8_t awready, wready, bvalid, arready, rvalid;
	uint32_t rdata;
};

struct rtl_read_pins {
	/* in */
	uint32_t rdata[16];
	uint8_t arready, rvalid, rlast, rresp;
	/* out */
	uint8_t arvalid, arlen, arsize, arburst, rready;
	uint64_t araddr;
};

struct rtl_write_pins {
	/* in */
	uint8_t awready, wready, bvalid, bresp;
	/* out */
	uint8_t awvalid, awlen, awsize, awburst, wvalid, wlast, bready;
	uint64_t awaddr, wstrb;
	uint32_t wdata[16];
};

#define RTL_READ_PORTS_MAX 4

struct rtl_pins {
	uint8_t ap_rst_n; /* in */
	uint8_t interrupt; /* out */
	struct rtl_control_pins control;
	struct rtl_read_pins read[RTL_READ_PORTS_MAX]; /* in the order of the kernel's arguments */
	struct rtl_write_pins results;
};

/* One kernel's simulation. */
struct rtl_bridge {
	uint32_t reads; /* ports */
	void (*free)(struct rtl_bridge *bridge);
	/* Take the inputs, and say what the outputs are before the clock rises. */
	void (*settle)(struct rtl_bridge *bridge, struct rtl_pins *pins);
	void (*clock)(struct rtl_bridge *bridge);
};

/* Registers start with random contents; NULL: out of memory. */
struct rtl_bridge *rtl_bridge_logits_new(void);
struct rtl_bridge *rtl_bridge_hidden_new(void);

#ifdef __cplusplus
}
#endif

#endif
