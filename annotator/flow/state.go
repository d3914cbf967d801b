package flow

import (
	"math"

	"ampulla/annotator/packet"
)

const (
	// HeadBytes is how many bytes of a first and of a second payload are kept.
	HeadBytes = 64
	// FirstPayloads is of how many payload packets the lengths are kept.
	FirstPayloads = 8
)

// Flow is the state of one conversation, for the feature stage to read until
// the table sees its next packet. Noise is left out of everything.
type Flow struct {
	Number      uint32 // from 1 in order of appearance
	ID          string // Community ID
	Proto       uint8  // IP protocol
	Established bool   // see Observation

	ClientAddr, ServerAddr packet.Addr
	// ClientPort and ServerPort are 0 for protocols without ports, and for
	// ICMP what the Community ID puts in their place.
	ClientPort, ServerPort uint16

	First, Last int64 // time of the first and of the last packet

	Client, Server Side // what each side sent

	// Lengths are the payload lengths of the first payload packets, bytes,
	// negative from the server; 0 for those yet to come.
	Lengths [FirstPayloads]int32
	// Fresh tells that the packet just observed added a payload.
	Fresh bool
	// Gaps are the seconds between packets, either direction.
	Gaps Moments

	client, server hostRef
	pair           pairRef
	service        serviceRef
	streams        [2]stream // of client and server
	closed         bool      // FIN or RST was seen
	lowIsClient    bool      // the key's first end is the client
	domain         uint32
	memo           *Memo
}

// Pair returns what the client of the flow lately did with its server.
func (f *Flow) Pair() *Pair { return &f.pair.Entry().Val }

// Payloads returns how many packets carried payload, both directions.
func (f *Flow) Payloads() uint32 { return f.Client.Payloads + f.Server.Payloads }

// Side is what one side of a flow sent.
type Side struct {
	Packets  uint32
	Payloads uint32 // packets that carried payload
	Bytes    uint64 // of payload, on the wire
	Sizes    Moments
	Gaps     Moments // seconds between packets that carried payload

	head, next       *[HeadBytes]byte // nil before the payload, and once nobody asks any more
	headLen, nextLen uint8
	lastPayload      int64
}

// Head returns what was captured of the first payload, at most HeadBytes. It is
// forgotten when more than FirstPayloads packets of the flow carried payload.
func (s *Side) Head() []byte {
	if s.head == nil {
		return nil
	}
	return s.head[:s.headLen]
}

// Next returns the same of the second payload.
func (s *Side) Next() []byte {
	if s.next == nil {
		return nil
	}
	return s.next[:s.nextLen]
}

// observe takes a clean packet of the flow in.
func (f *Flow) observe(p *packet.Packet, fromClient bool) {
	if f.Client.Packets+f.Server.Packets > 0 {
		f.Gaps.add(float64(max(p.Time-f.Last, 0)) / 1e9)
	}
	s := &f.Server
	if fromClient {
		s = &f.Client
	}
	s.Packets = saturate(uint64(s.Packets) + 1)
	s.Sizes.add(float64(p.PayloadLength))
	if p.PayloadLength == 0 {
		return
	}
	f.Fresh = true
	if n := f.Payloads(); n < FirstPayloads {
		f.Lengths[n] = int32(min(p.PayloadLength, math.MaxInt32))
		if !fromClient {
			f.Lengths[n] = -f.Lengths[n]
		}
		s.observeHead(p.Payload)
	} else if n == FirstPayloads {
		f.Client.head, f.Client.next, f.Server.head, f.Server.next = nil, nil, nil, nil
	}
	s.observePayload(p)
}

// observeHead keeps the beginning of a first and of a second payload.
func (s *Side) observeHead(payload []byte) {
	switch s.Payloads {
	case 0:
		s.head = new([HeadBytes]byte)
		s.headLen = uint8(copy(s.head[:], payload))
	case 1:
		s.next = new([HeadBytes]byte)
		s.nextLen = uint8(copy(s.next[:], payload))
	}
}

func (s *Side) observePayload(p *packet.Packet) {
	if s.Payloads > 0 {
		s.Gaps.add(float64(max(p.Time-s.lastPayload, 0)) / 1e9)
	}
	s.lastPayload = p.Time
	s.Payloads = saturate(uint64(s.Payloads) + 1)
	s.Bytes += uint64(p.PayloadLength)
}
