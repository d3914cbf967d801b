package eval

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// FlowTable holds the labelled flows of a folder of captures, as listed in a
// tab-separated file with the columns file, src_ip, src_port, dst_ip, dst_port,
// proto, label, port_label and tshark_layers, and others that are not read.
type FlowTable struct {
	files map[string]map[flowKey]*LabelledFlow
}

// LabelledFlow is one conversation of one capture, by its outermost addresses
// and ports.
type LabelledFlow struct {
	Class     string // what it is; empty if nobody knows
	PortClass string // what a table of ports makes of it; may be empty
	server    netip.AddrPort
	key       flowKey
}

// flowKey names a conversation whichever way a packet of it goes.
type flowKey struct {
	low, high netip.AddrPort
	proto     uint8
}

var transports = map[string]uint8{"tcp": packet.ProtoTCP, "udp": packet.ProtoUDP, "sctp": packet.ProtoSCTP}

func keyOf(proto uint8, a, b netip.AddrPort) flowKey {
	if b.Compare(a) < 0 {
		a, b = b, a
	}
	return flowKey{a, b, proto}
}

// outermost returns the addresses and ports that a tool sees which looks into
// no tunnel; ok is false where p has none.
func outermost(p *packet.Packet) (src, dst netip.AddrPort, proto uint8, ok bool) {
	if p.Tunnel != packet.TunnelNone && (p.OuterProto == packet.ProtoTCP || p.OuterProto == packet.ProtoUDP) {
		return netip.AddrPortFrom(p.OuterSrc.Netip(), p.OuterSrcPort), netip.AddrPortFrom(p.OuterDst.Netip(), p.OuterDstPort), p.OuterProto, true
	}
	if !p.HasPorts() {
		return src, dst, 0, false
	}
	return netip.AddrPortFrom(p.Src.Netip(), p.SrcPort), netip.AddrPortFrom(p.Dst.Netip(), p.DstPort), p.Proto, true
}

// ReadClasses reads a table of the columns label and class, which maps the
// labels of a FlowTable to the names of verdicts.
func ReadClasses(r io.Reader) (map[string]string, error) {
	classes := map[string]string{}
	err := table(r, []string{"label", "class"}, func(row []string) error {
		classes[row[0]] = row[1]
		return nil
	})
	return classes, err
}

// ReadFlows reads a FlowTable. Labels that are not in classes stand for
// themselves. A flow that is there twice with different labels counts as not
// labelled.
func ReadFlows(r io.Reader, classes map[string]string) (*FlowTable, error) {
	t := &FlowTable{files: map[string]map[flowKey]*LabelledFlow{}}
	columns := []string{"file", "proto", "src_ip", "src_port", "dst_ip", "dst_port", "label", "port_label", "tshark_layers"}
	return t, table(r, columns, func(row []string) error {
		src, err := netip.ParseAddrPort(hostPort(row[2], row[3]))
		if err != nil {
			return err
		}
		dst, err := netip.ParseAddrPort(hostPort(row[4], row[5]))
		if err != nil {
			return err
		}
		label := row[6]
		if label == "smb" && strings.Contains(row[8], "smb2") { // one label, two display filters
			label = "smb2"
		}
		f := &LabelledFlow{Class: cmp.Or(classes[label], label), PortClass: cmp.Or(classes[row[7]], row[7])}
		f.key, f.server = keyOf(transports[row[1]], src, dst), dst
		if t.files[row[0]] == nil {
			t.files[row[0]] = map[flowKey]*LabelledFlow{}
		}
		if old := t.files[row[0]][f.key]; old != nil && old.Class != f.Class {
			f.Class = ""
		}
		t.files[row[0]][f.key] = f
		return nil
	})
}

// Answers are what some other tool says of flows.
type Answers struct {
	files map[string]map[flowKey]string
}

// ReadAnswers reads a table of the columns file, proto, src_ip, src_port,
// dst_ip, dst_port and class. The last row of a flow counts. Of several classes,
// joined by |, the right one counts if it is among them.
func ReadAnswers(r io.Reader) (*Answers, error) {
	a := &Answers{files: map[string]map[flowKey]string{}}
	return a, table(r, []string{"file", "proto", "src_ip", "src_port", "dst_ip", "dst_port", "class"}, func(row []string) error {
		src, err := netip.ParseAddrPort(hostPort(row[2], row[3]))
		if err != nil {
			return err
		}
		dst, err := netip.ParseAddrPort(hostPort(row[4], row[5]))
		if err != nil {
			return err
		}
		if a.files[row[0]] == nil {
			a.files[row[0]] = map[flowKey]string{}
		}
		a.files[row[0]][keyOf(transports[row[1]], src, dst)] = row[6]
		return nil
	})
}

// of returns the answer for a flow whose server got another port, if seed is
// not 0.
func (a *Answers) of(file string, f *LabelledFlow, seed uint64) string {
	if f == nil {
		return verdict.UnknownClass
	}
	client, server := f.key.low, f.key.high
	if client == f.server {
		client, server = server, client
	}
	if seed != 0 {
		server = netip.AddrPortFrom(server.Addr(), newPort(seed, file, f.key.proto, server.Port()))
	}
	classes := strings.Split(a.files[file][keyOf(f.key.proto, client, server)], "|")
	if slices.Contains(classes, f.Class) {
		return f.Class
	}
	return cmp.Or(classes[0], verdict.UnknownClass)
}

func hostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

// table calls each with the named columns of every row of a tab-separated file
// that begins with a header.
func table(r io.Reader, columns []string, each func(row []string) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	var at []int
	row := make([]string, len(columns))
	for line := 1; scanner.Scan(); line++ {
		fields := strings.Split(scanner.Text(), "\t")
		if line == 1 {
			for _, name := range columns {
				at = append(at, slices.Index(fields, name))
			}
			if i := slices.Index(at, -1); i >= 0 {
				return fmt.Errorf("line 1: no column %q", columns[i])
			}
			continue
		}
		for i, column := range at {
			if column >= len(fields) {
				return errors.New("line " + strconv.Itoa(line) + ": too few columns")
			}
			row[i] = fields[column]
		}
		if err := each(row); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
	return scanner.Err()
}
