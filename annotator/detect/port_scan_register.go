package detect

import (
	"encoding/binary"
	"fmt"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// registerScan is what a client asked a controller for in vain.
type registerScan struct {
	alarm
	refused rate
}

// registers finds clients that ask a controller for one register after the
// other, most of which it does not have.
func (d *portScan) registers(c *Case) {
	p := c.Packet
	if p.Proto != packet.ProtoTCP || !p.HasPorts() {
		return
	}
	if !c.FromClient {
		if c.Noise == flow.Clean && isModbusException(c) {
			s := d.asked.take(c)
			s.raise(Grade(float64(s.refused.add(p.Time, time.Minute, 1)), float64(d.cfg.Refused)), p.Time, time.Minute)
		}
	}
	s := d.asked.get(c)
	if s == nil || !s.active(p.Time, time.Minute) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = fmt.Sprintf("%d requests to the controller %s refused within a minute; its own masters know what it has",
			s.refused.count(p.Time, time.Minute), c.key.server)
	}
	c.found(Finding{s.score, verdict.PortScan, s.reason, RoleService, p.Time - int64(time.Minute)})
}

// modbusException is how long an exception of Modbus TCP is, bytes: a header of 7,
// the function with its highest bit set, and a code.
const modbusException = 9

// isModbusException tells that a packet is nothing but an exception of Modbus
// TCP (MODBUS Application Protocol 1.1b3, section 7).
func isModbusException(c *Case) bool {
	b := c.Packet.Payload
	return len(b) == modbusException && (c.key.port == 502 || classOf(c.Observation) == "modbus") && binary.BigEndian.Uint16(b[2:]) == 0 &&
		binary.BigEndian.Uint16(b[4:]) == 3 && b[7]&0x80 != 0
}
