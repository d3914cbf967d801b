package report

import (
	"cmp"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/verdict"
)

// Bounds of what is remembered, and of what is listed.
const (
	maxBins    = 240
	maxHosts   = 16384
	maxSources = 16
	maxFrames  = 8
	topTalkers = 15
)

// firstStep is the length of the timeline's steps at first, in nanoseconds. It
// doubles until the capture fits.
const firstStep = int64(time.Millisecond)

// Collector takes in every frame of a capture with its verdict. Its memory is
// bounded. It is not safe for concurrent use.
type Collector struct {
	threshold float64
	decoder   packet.Decoder
	packet    packet.Packet

	capture Capture
	first   int64
	last    int64
	classes map[string]*class
	hosts   map[netip.Addr]*Talker
	bins    []Bin
	step    int64
	risks   [riskCount]risk
	flows   uint32

	incidents map[uint32]*topFrames
}

// class sums up a protocol.
type class struct {
	packets, bytes uint64
	confidence     float64
}

// The kinds of risks.
const (
	riskScan = iota
	riskDDoS
	riskExfiltration
	riskBruteForce
	riskOther
	riskCount
)

// riskOf says what a type of anomaly counts to.
func riskOf(t verdict.Type) int {
	switch t {
	case verdict.PortScan, verdict.HostScan:
		return riskScan
	case verdict.Flood, verdict.SlowDoS:
		return riskDDoS
	case verdict.Exfiltration, verdict.DNSTunnel, verdict.ICMPTunnel:
		return riskExfiltration
	case verdict.BruteForce:
		return riskBruteForce
	}
	return riskOther
}

// risk is a Risk in the making.
type risk struct {
	Risk
	top topFrames
}

// NewCollector returns a Collector for one capture; frames that score above
// threshold are flagged.
func NewCollector(threshold float64) *Collector {
	return &Collector{
		threshold: threshold, step: firstStep, bins: make([]Bin, 0, maxBins),
		classes: map[string]*class{}, hosts: map[netip.Addr]*Talker{}, incidents: map[uint32]*topFrames{},
	}
}

// Frame takes the next frame in, and its verdict.
func (c *Collector) Frame(b *pcapng.Block, v *verdict.Verdict) {
	c.decoder.Decode(b.Frame(), &c.packet)
	flagged := v.Score > c.threshold
	c.count(b, v, flagged)
	k, ok := c.classes[v.Class]
	if !ok {
		k = &class{}
		c.classes[v.Class] = k
	}
	k.packets++
	k.bytes += uint64(b.Length)
	k.confidence += v.Confidence
	c.talk(b, flagged)
	c.bin(b, v, flagged)
	if v.Type != "" {
		c.risk(v, flagged)
		c.evidence(v)
	}
}

func (c *Collector) count(b *pcapng.Block, v *verdict.Verdict, flagged bool) {
	n := &c.capture
	if n.Frames == 0 {
		c.first, c.last = b.Time, b.Time
	}
	c.first, c.last = min(c.first, b.Time), max(c.last, b.Time)
	n.Frames++
	n.Bytes += uint64(b.Length)
	c.flows = max(c.flows, v.Flow)
	if b.Captured < b.Length {
		n.Cut++
	}
	if flagged {
		n.Flagged++
	}
	switch v.Level {
	case verdict.Normal:
		n.Normal++
	case verdict.Learning:
		n.Learning++
	case verdict.Suspicious:
		n.Suspect++
	case verdict.Anomalous:
		n.Anomal++
	}
}

// talk counts a frame to its two hosts.
func (c *Collector) talk(b *pcapng.Block, flagged bool) {
	if c.packet.Version == 0 {
		return
	}
	src, dst := c.host(c.packet.Src.Netip()), c.host(c.packet.Dst.Netip())
	src.Packets++
	src.Sent += uint64(b.Length)
	if flagged {
		src.Flagged++
	}
	if dst != src {
		dst.Packets++
	}
	dst.Received += uint64(b.Length)
}

// host returns the counters of a host. When there are too many, the half with
// the least traffic goes.
func (c *Collector) host(a netip.Addr) *Talker {
	if h, ok := c.hosts[a]; ok {
		return h
	}
	if len(c.hosts) >= maxHosts {
		all := slices.SortedFunc(maps.Keys(c.hosts), func(x, y netip.Addr) int {
			return cmp.Or(cmp.Compare(c.hosts[x].bytes(), c.hosts[y].bytes()), x.Compare(y))
		})
		for _, x := range all[:len(all)/2] {
			delete(c.hosts, x)
		}
	}
	h := &Talker{Address: a.String()}
	c.hosts[a] = h
	return h
}

func (t *Talker) bytes() uint64 { return t.Sent + t.Received }

// bin counts a frame to its step of the timeline. Frames from before the first
// one count to the first step.
func (c *Collector) bin(b *pcapng.Block, v *verdict.Verdict, flagged bool) {
	at := max(0, b.Time-c.start())
	for at/c.step >= maxBins {
		half := (len(c.bins) + 1) / 2
		for i := range half {
			bin := c.bins[2*i]
			if 2*i+1 < len(c.bins) {
				bin.merge(&c.bins[2*i+1])
			}
			c.bins[i] = bin
		}
		c.bins = c.bins[:half]
		c.step *= 2
	}
	i := int(at / c.step)
	for len(c.bins) <= i {
		c.bins = append(c.bins, Bin{})
	}
	one := Bin{Packets: 1, Bytes: uint64(b.Length), Score: v.Score}
	if flagged {
		one.Flagged = 1
	}
	c.bins[i].merge(&one)
}

// start is the beginning of the timeline, the time of the first frame read.
func (c *Collector) start() int64 {
	if c.capture.Frames == 1 {
		c.capture.First = time.Unix(0, c.first).UTC()
	}
	return c.capture.First.UnixNano()
}

func (b *Bin) merge(o *Bin) {
	b.Packets += o.Packets
	b.Bytes += o.Bytes
	b.Flagged += o.Flagged
	b.Score = max(b.Score, o.Score)
}

// risk counts a frame with an anomaly.
func (c *Collector) risk(v *verdict.Verdict, flagged bool) {
	r := &c.risks[riskOf(v.Type)]
	if v.Score > r.Score {
		r.Score, r.Reason = v.Score, v.Reason
	}
	if !flagged {
		return
	}
	at := time.Unix(0, v.Time).UTC()
	if r.Packets == 0 {
		r.First = at
	}
	r.Last, r.Detected = at, true
	r.Packets++
	if src := c.source(); src != "" && len(r.Sources) < maxSources && !slices.Contains(r.Sources, src) {
		r.Sources = append(r.Sources, src)
	}
	r.top.add(v)
}

func (c *Collector) source() string {
	switch {
	case c.packet.Version != 0:
		return c.packet.Src.String()
	case c.packet.SrcMAC != packet.MAC{}:
		return c.packet.SrcMAC.String()
	}
	return ""
}

// End returns the time of the last frame, nanoseconds since 1970-01-01 UTC.
func (c *Collector) End() int64 { return c.last }

// Result ends the capture and returns what is known of it. incidents are the
// engine's; name says how clients call an address, and may be nil.
func (c *Collector) Result(incidents []verdict.Incident, name func(netip.Addr) string) *Report {
	out := &Report{Schema: SchemaID, Notes: []string{}, Incidents: []Incident{}}
	out.Capture = c.capture
	out.Capture.Flows = uint64(c.flows)
	if c.capture.Frames > 0 {
		out.Capture.First, out.Capture.Last = time.Unix(0, c.first).UTC(), time.Unix(0, c.last).UTC()
	}
	out.Capture.Seconds = round(float64(c.last-c.first)/1e9, 6)
	for i, to := range []*Risk{&out.Scans, &out.DDoS, &out.Exfiltration, &out.BruteForce, &out.Other} {
		*to = c.risks[i].Risk
		to.Frames = c.risks[i].top.sorted()
		to.Sources = append([]string{}, to.Sources...)
		to.Incidents = []uint32{}
	}
	c.addIncidents(out, incidents)
	out.Classes = c.classList()
	out.Talkers = c.talkers(name)
	out.Timeline = Timeline{Start: c.capture.First, Step: float64(c.step) / 1e9, Bins: append([]Bin{}, c.bins...)}
	return out
}

func (c *Collector) classList() []Class {
	list := make([]Class, 0, len(c.classes))
	for name, k := range c.classes {
		list = append(list, Class{
			Name: name, Packets: k.packets, Bytes: k.bytes,
			Share:      round(float64(k.bytes)/float64(max(c.capture.Bytes, 1)), 6),
			Confidence: round(k.confidence/float64(k.packets), 2),
		})
	}
	slices.SortFunc(list, func(a, b Class) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	return list
}

func (c *Collector) talkers(name func(netip.Addr) string) []Talker {
	all := slices.SortedFunc(maps.Keys(c.hosts), func(x, y netip.Addr) int {
		return cmp.Or(cmp.Compare(c.hosts[y].bytes(), c.hosts[x].bytes()), x.Compare(y))
	})
	list := []Talker{}
	for _, a := range all[:min(len(all), topTalkers)] {
		t := *c.hosts[a]
		if name != nil {
			t.Name = name(a)
		}
		list = append(list, t)
	}
	return list
}

func round(x float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(x*p) / p
}
