package detect

import (
	"fmt"
	"slices"
	"time"
)

// Invalid is a field of a [Config] that no detector can work with.
type Invalid struct {
	Field   string // as it is spelled in the configuration file
	Problem string
}

func (e *Invalid) Error() string { return "detect: " + e.Field + ": " + e.Problem }

// Validate returns the first field that no detector can work with, or nil.
func (c *Config) Validate() *Invalid {
	for _, f := range slices.Concat(c.scanFields(), c.contentFields()) {
		if !(f.value > 0) || f.value > f.most {
			return &Invalid{f.name, fmt.Sprintf("%v is not above 0 and at most %v", f.value, f.most)}
		}
	}
	return nil
}

type field struct {
	name        string
	value, most float64
}

const (
	mostCount   = 1 << 20        // of anything counted or remembered
	mostRate    = 1e9            // a second
	mostBytes   = 1e15           //
	mostSeconds = 30 * 24 * 3600 // of a window
	mostFactor  = 1000           //
)

func count(name string, v int) field { return field{name, float64(v), mostCount} }

func different(name string, v int) field { return field{name, float64(v), maxDistinct - 1} }

func window(name string, v time.Duration) field { return field{name, v.Seconds(), mostSeconds} }

func share(name string, v float64) field { return field{name, v, 1} }

// scanFields lists the fields of detectors that count who calls whom and how
// often, in the order of the configuration file.
func (c *Config) scanFields() []field {
	ps, hs, fl, sd, bf := &c.PortScan, &c.HostScan, &c.Flood, &c.SlowDoS, &c.BruteForce
	return []field{
		{"port_scan.rate", ps.Rate, mostRate},
		different("port_scan.min_ports", ps.MinPorts),
		different("port_scan.ports", ps.Ports),
		{"port_scan.protocols", float64(ps.Protocols), 256},
		share("port_scan.served", ps.Served),
		different("port_scan.sources", ps.Sources),
		different("port_scan.shared", ps.Shared),
		count("port_scan.refused", ps.Refused),
		window("port_scan.window", ps.Window),
		count("port_scan.pairs", ps.Pairs),
		different("host_scan.fast_hosts", hs.FastHosts),
		window("host_scan.fast_window", hs.FastWindow),
		different("host_scan.hosts", hs.Hosts),
		window("host_scan.window", hs.Window),
		share("host_scan.answered", hs.Answered),
		share("host_scan.density", hs.Density),
		{"host_scan.scattered", hs.Scattered, mostFactor},
		count("host_scan.sources", hs.Sources),
		{"flood.sigma", fl.Sigma, mostFactor},
		{"flood.rate", fl.Rate, mostRate},
		window("flood.history", fl.History),
		{"flood.cold_rate", fl.ColdRate, mostRate},
		{"flood.echo", fl.Echo, mostRate},
		{"flood.reflection", fl.Reflection, mostRate},
		count("flood.destinations", fl.Destinations),
		different("slow_dos.connections", sd.Connections),
		window("slow_dos.min_age", sd.MinAge),
		window("slow_dos.window", sd.Window),
		count("slow_dos.max_bytes", sd.MaxBytes),
		count("slow_dos.services", sd.Services),
		count("brute_force.failures", bf.Failures),
		window("brute_force.window", bf.Window),
		count("brute_force.slow_failures", bf.SlowFailures),
		window("brute_force.slow_window", bf.SlowWindow),
		count("brute_force.clients", bf.Clients),
		count("brute_force.flows", bf.Flows),
	}
}

// contentFields lists the fields of all others, in the same order.
func (c *Config) contentFields() []field {
	ex, dt, it, be, as := &c.Exfiltration, &c.DNSTunnel, &c.ICMPTunnel, &c.Beacon, &c.ARPSpoof
	wa, dg, rc, st := &c.WebAttack, &c.DGA, &c.RemoteControl, &c.Storm
	ws, nc, op, rf := &c.WebShell, &c.Newcomer, &c.OddPort, &c.RequestFlood
	return []field{
		{"exfiltration.bytes", ex.Bytes, mostBytes},
		{"exfiltration.covert_bytes", ex.CovertBytes, mostBytes},
		window("exfiltration.window", ex.Window),
		{"exfiltration.ratio", ex.Ratio, mostFactor},
		{"exfiltration.usual", ex.Usual, mostFactor},
		count("exfiltration.pairs", ex.Pairs),
		different("dns_tunnel.names", dt.Names),
		window("dns_tunnel.window", dt.Window),
		{"dns_tunnel.min_length", float64(dt.MinLength), 255},
		{"dns_tunnel.min_entropy", dt.MinEntropy, 8},
		count("dns_tunnel.domains", dt.Domains),
		count("icmp_tunnel.mismatches", it.Mismatches),
		different("icmp_tunnel.sizes", it.Sizes),
		different("icmp_tunnel.contents", it.Contents),
		window("icmp_tunnel.window", it.Window),
		count("icmp_tunnel.pairs", it.Pairs),
		count("beacon.repeats", be.Repeats),
		{"beacon.internal", be.Internal, mostFactor},
		share("beacon.jitter", be.Jitter),
		share("beacon.size_spread", be.SizeSpread),
		window("beacon.min_interval", be.MinInterval),
		window("beacon.min_duration", be.MinDuration),
		count("beacon.services", be.Services),
		count("arp_spoof.claims", as.Claims),
		count("arp_spoof.unasked", as.Unasked),
		window("arp_spoof.window", as.Window),
		count("arp_spoof.hosts", as.Hosts),
		{"web_attack.evidence", wa.Evidence, mostCount},
		window("web_attack.window", wa.Window),
		count("web_attack.clients", wa.Clients),
		different("dga.domains", dg.Domains),
		window("dga.window", dg.Window),
		count("dga.clients", dg.Clients),
		{"remote_control.evidence", rc.Evidence, mostCount},
		count("remote_control.turns", rc.Turns),
		count("remote_control.beats", rc.Beats),
		count("remote_control.flows", rc.Flows),
		{"storm.rate", st.Rate, mostRate},
		count("storm.senders", st.Senders),
		count("web_shell.posts", ws.Posts),
		window("web_shell.window", ws.Window),
		count("web_shell.clients", ws.Clients),
		count("newcomer.conversations", nc.Conversations),
		window("newcomer.window", nc.Window),
		share("newcomer.most", nc.Most),
		count("newcomer.services", nc.Services),
		share("odd_port.score", op.Score),
		share("odd_port.unvouched", op.Unvouched),
		share("odd_port.confidence", op.Confidence),
		count("odd_port.services", op.Services),
		{"request_flood.rate", rf.Rate, mostRate},
		count("request_flood.clients", rf.Clients),
	}
}
