package detect

import (
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
)

// Form is what a packet is by itself, whoever sends it; several are a bit set.
// Packets of one event are of few forms, by which hindsight knows its first
// ones.
type Form uint16

// The forms. Of a conversation they tell the client's packets from the
// server's.
const (
	FormSYN      Form = 1 << iota // a TCP segment that asks for a connection
	FormCall                      // any other of the client
	FormReply                     // of the server
	FormOpening                   // a datagram of UDP or SCTP to one who has not said anything
	FormDatagram                  // any other of the client
	FormReturn                    // of the server
	FormRequest                   // an ICMP echo request
	FormEcho                      // an ICMP echo reply
	FormFragment                  // a later fragment
	FormOther                     // of another IP protocol
	FormFrame                     // below IP
	FormFTPData                   // beside another: from the port from which FTP sends data
)

// FormOf returns the form of a packet.
func FormOf(o *flow.Observation) Form {
	p := o.Packet
	switch {
	case p.Version == 0:
		return FormFrame
	case p.FragOffset != 0:
		return FormFragment
	case p.Proto == packet.ProtoTCP:
		return formOfTCP(o)
	case p.Proto == packet.ProtoUDP || p.Proto == packet.ProtoSCTP:
		switch {
		case fromPeer(o) == 0:
			return FormOpening
		case o.FromClient:
			return FormDatagram
		}
		return FormReturn
	}
	switch request, reply := isEcho(p); {
	case request:
		return FormRequest
	case reply:
		return FormEcho
	}
	return FormOther
}

func formOfTCP(o *flow.Observation) Form {
	const ftpData = 20 // RFC 959 section 3.2
	var form Form
	if o.Packet.SrcPort == ftpData {
		form = FormFTPData
	}
	switch {
	case probeOfTCP(o) == probeSYN:
		return form | FormSYN
	case o.FromClient:
		return form | FormCall
	}
	return form | FormReply
}

// Talk says how far a conversation has come.
type Talk uint8

// The stages. Where a port is only tried, or flooded, the server says little or
// nothing.
const (
	Unanswered Talk = iota
	Answered        // the server has sent data
	Talking         // as much as it does where its port is used
)

// talking is how many payloads a server has sent at least where its port is used
// and not only tried.
const talking = 4

// TalkOf returns how far the conversation of a packet has come by now; it is
// Unanswered for what has no ports.
func TalkOf(o *flow.Observation) Talk {
	switch p := o.Packet; {
	case p.Proto != packet.ProtoTCP && p.Proto != packet.ProtoUDP && p.Proto != packet.ProtoSCTP || o.ServerPayloads == 0:
		return Unanswered
	case o.ServerPayloads < talking:
		return Answered
	}
	return Talking
}

// Orders tells that a packet is from the client of an FTP server, who may have
// it scan others (RFC 2577 section 3).
func Orders(o *flow.Observation) bool {
	const ftp = 21
	_, port := o.Server()
	return o.FromClient && o.Packet.Proto == packet.ProtoTCP && (port == ftp || classOf(o) == "ftp")
}
