package web

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"ampulla/annotator/transaction"
)

// host is what is remembered of a server by its name.
type host struct {
	Host
	connect, handshake, wait delays
	slow                     uint64 // turns
	slowest                  evidence
	failed                   evidence
	first                    uint64
	offeredH2                uint64 // connections whose client could speak HTTP/2 and did not get it
	offered                  evidence
	fullFrames               evidence
	short                    evidence // connections with a single request
	encrypted                bool     // some connections could not be read
}

func newHost(name string) *host {
	return &host{Host: Host{Name: name, TLS: map[string]uint64{}, ALPN: map[string]uint64{}}}
}

// add takes a connection in.
func (h *host) add(n *transaction.Connection, cfg *Config) {
	h.Connections++
	h.Requests += uint64(n.Exchanges)
	h.Bytes += n.Bytes
	if h.first == 0 {
		h.first = n.Frame
	}
	if server := n.Server.String(); len(h.Servers) < 4 && !slices.Contains(h.Servers, server) {
		h.Servers = append(h.Servers, server)
	}
	if n.Connect > 0 {
		h.connect.add(n.Connect)
	}
	switch n.Failure {
	case transaction.Refused:
		h.Refused++
	case transaction.Unanswered:
		h.Unanswered++
	case transaction.TLSFailed:
		h.TLSFailed++
		h.Reason = n.Reason
	}
	if n.Failure != "" {
		h.failed.add(1, n.FailureFrame)
	}
	if n.Exchanges == 1 {
		h.short.add(0, n.Frame)
	}
	if !n.TLS {
		return
	}
	h.TLS[cmp.Or(n.Version, "unknown")]++
	if n.Chosen != "" && len(h.ALPN) < 16 {
		h.ALPN[n.Chosen]++
	}
	if n.Handshake > 0 {
		h.handshake.add(n.Handshake)
	}
	if n.Resumed {
		h.Resumed++
	}
	if n.Full {
		h.Full++
		h.fullFrames.add(n.Handshake, n.Hello)
	}
	if strings.Contains(n.Offered, "h2") && (n.Chosen == "http/1.1" || n.Version == "1.2" && n.Chosen == "") && n.Failure == "" {
		h.offeredH2++
		h.offered.add(0, n.Hello)
	}
	h.encrypted = h.encrypted || n.Exchanges == 0
	for _, turn := range n.Turns {
		h.Turns++
		h.wait.add(turn.Wait)
		if turn.Wait >= cfg.Slow.Nanoseconds() {
			h.slow++
			h.slowest.add(turn.Wait, turn.Frame)
		}
	}
}

// result returns what is known of the host.
func (h *host) result() Host {
	out := h.Host
	out.Connect, out.Handshake, out.Wait = h.connect.delay(), h.handshake.delay(), h.wait.delay()
	out.Frames = sorted(h.failed.frames)
	if len(out.Frames) == 0 && h.first != 0 {
		out.Frames = []uint64{h.first}
	}
	out.Filter = h.filter()
	return out
}

func (h *host) filter() string {
	var parts []string
	for _, server := range h.Servers {
		parts = append(parts, serverFilter(server))
	}
	return strings.Join(parts, " or ")
}

// serverFilter returns a display filter for an address with a port.
func serverFilter(server string) string {
	i := strings.LastIndexByte(server, ':')
	address, port := strings.Trim(server[:i], "[]"), server[i+1:]
	family := "ip"
	if strings.Contains(address, ":") {
		family = "ipv6"
	}
	return fmt.Sprintf("(%s.addr == %s and tcp.port == %s)", family, address, port)
}

// conversation returns a display filter for what two ports said to each other.
func conversation(a, b netip.AddrPort) string {
	family := "ip"
	if a.Addr().Is6() {
		family = "ipv6"
	}
	return fmt.Sprintf("(%[1]s.addr == %[2]s and tcp.port == %[3]d and %[1]s.addr == %[4]s and tcp.port == %[5]d)",
		family, a.Addr(), a.Port(), b.Addr(), b.Port())
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
