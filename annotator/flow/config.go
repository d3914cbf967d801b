package flow

import "time"

// Config bounds a [Table]. All times are packet time.
type Config struct {
	MaxFlows     int           // flows kept at once; the one idle longest goes first
	MaxHosts     int           // hosts kept at once, 2 at least
	MaxPairs     int           // pairs of client and server kept at once
	MaxServices  int           // services (server, protocol, port) of pairs kept at once
	MaxFragments int           // fragmented datagrams kept at once
	Idle         time.Duration // a flow without packets for longer is over
	FragmentLife time.Duration // later fragments find their first one for this long
	DuplicateGap time.Duration // copies of a frame are at most this far apart
	MaxCopies    int           // copies of one frame beyond it are taken for traffic; 255 at most
}

// Default returns the bounds used unless configured otherwise. Filled to the
// brim, such a table takes about 225 MB.
func Default() Config {
	return Config{
		MaxFlows:     100_000,
		MaxHosts:     50_000,
		MaxPairs:     50_000,
		MaxServices:  100_000,
		MaxFragments: 4096,
		Idle:         10 * time.Minute,
		FragmentLife: 30 * time.Second,
		DuplicateGap: 20 * time.Millisecond,
		MaxCopies:    3,
	}
}

// Stats counts what a [Table] did since it was made.
type Stats struct {
	Flows, Hosts, Pairs uint64 // ever seen; evicted and seen again counts twice

	FlowsEvicted    uint64 // went because of MaxFlows
	FlowsExpired    uint64 // went because of Idle
	HostsEvicted    uint64
	PairsEvicted    uint64
	ServicesEvicted uint64

	Duplicates, Retransmissions, KeepAlives uint64 // packets
	Fragments                               uint64 // later fragments that found their flow
	LostFragments                           uint64 // later fragments that did not
}
