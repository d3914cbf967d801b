package detect

import "time"

// Config holds the thresholds of all detectors. Start from [Default]; the zero
// value is not valid. At a threshold a packet scores exactly 0.8, which is not
// yet anomalous; see [Grade].
type Config struct {
	PortScan      PortScan      `yaml:"port_scan"`
	HostScan      HostScan      `yaml:"host_scan"`
	Flood         Flood         `yaml:"flood"`
	SlowDoS       SlowDoS       `yaml:"slow_dos"`
	BruteForce    BruteForce    `yaml:"brute_force"`
	Exfiltration  Exfiltration  `yaml:"exfiltration"`
	DNSTunnel     DNSTunnel     `yaml:"dns_tunnel"`
	ICMPTunnel    ICMPTunnel    `yaml:"icmp_tunnel"`
	Beacon        Beacon        `yaml:"beacon"`
	ARPSpoof      ARPSpoof      `yaml:"arp_spoof"`
	WebAttack     WebAttack     `yaml:"web_attack"`
	DGA           DGA           `yaml:"dga"`
	RemoteControl RemoteControl `yaml:"remote_control"`
	Storm         Storm         `yaml:"storm"`
	WebShell      WebShell      `yaml:"web_shell"`
	Newcomer      Newcomer      `yaml:"newcomer"`
	OddPort       OddPort       `yaml:"odd_port"`
	RequestFlood  RequestFlood  `yaml:"request_flood"`
}

// PortScan configures the search for one host trying the ports of another.
type PortScan struct {
	// Rate is how many probes a second (SYNs, stealth flags, UDP, SCTP INIT)
	// one host may send to one other. Default 50.
	Rate float64 `yaml:"rate"`
	// MinPorts is how many distinct ports must have been probed before Rate
	// says anything; a flood hits few ports. Default 10.
	MinPorts int `yaml:"min_ports"`
	// Ports is how many ports of one host that carried no conversation another
	// may have probed within Window, however slowly. Default 20.
	Ports int `yaml:"ports"`
	// Protocols is how many distinct IP protocols one host may send to
	// another. Default 10.
	Protocols int `yaml:"protocols"`
	// Served is the share of probed ports that may carry a conversation before
	// it is no scan but use. Default 0.4.
	Served float64 `yaml:"served"`
	// Sources and Shared describe a scan that several hosts share: at least
	// Sources of them, default 4, together probed Shared TCP ports of one host
	// that carried no conversation within Window, default 40.
	Sources int `yaml:"sources"`
	Shared  int `yaml:"shared"`
	// Refused is how many requests of one client a controller may refuse within
	// a minute (Modbus exceptions): one that asks for register after register
	// scans as well. Default 200.
	Refused int `yaml:"refused"`
	// Window is how long probes are remembered. Default 1h.
	Window time.Duration `yaml:"window"`
	// Pairs is how many pairs of hosts are remembered. Default 2048.
	Pairs int `yaml:"pairs"`
}

// HostScan configures the search for one host trying one service (a port, echo
// or address resolution) of many others.
type HostScan struct {
	// FastHosts is how many hosts that did not answer one host may have tried
	// within FastWindow. Default 30.
	FastHosts  int           `yaml:"fast_hosts"`
	FastWindow time.Duration `yaml:"fast_window"` // default 1m
	// Hosts is the same within Window, however slowly. Default 60.
	Hosts  int           `yaml:"hosts"`
	Window time.Duration `yaml:"window"` // default 1h
	// Answered is the share of tried hosts that may answer before it is no
	// scan but use. Default 0.3.
	Answered float64 `yaml:"answered"`
	// Density is which part of the range between the lowest and the highest
	// address tried must have been tried to call it dense. ARP is only judged
	// when dense: routers ask for many scattered hosts, a sweep for one after
	// the other. Default 0.3.
	Density float64 `yaml:"density"`
	// Scattered is by what factor more hosts it takes when their addresses are
	// not dense, as with peer-to-peer programs, whose peers are often gone.
	// Default 4.
	Scattered float64 `yaml:"scattered"`
	// Sources is how many pairs of source and service are remembered, and of hosts
	// that called another. Default 2048.
	Sources int `yaml:"sources"`
}

// Flood configures the search for more packets than a destination can want.
// Only packets that open a conversation or belong to none are counted, so that
// transfers at line rate are no flood.
type Flood struct {
	// Sigma is by how many standard deviations the rate toward a destination
	// must exceed what was seen before it. Default 3.
	Sigma float64 `yaml:"sigma"`
	// Rate is the least rate, packets a second, that is a flood given at least
	// History of packets to that destination before it. Default 100.
	Rate    float64       `yaml:"rate"`
	History time.Duration `yaml:"history"` // default 10s
	// ColdRate is the rate of unanswered packets a second that is a flood even
	// without a history. Default 250.
	ColdRate float64 `yaml:"cold_rate"`
	// Echo is the rate of ICMP echoes a second to one destination. Default 200.
	Echo float64 `yaml:"echo"`
	// Reflection is the rate of large answers a second (DNS, NTP, SNMP, SSDP,
	// memcached and the like) that nobody asked for. Default 20; ten times as
	// many when they are small.
	Reflection float64 `yaml:"reflection"`
	// Destinations is how many destinations are remembered. Default 4096.
	Destinations int `yaml:"destinations"`
}

// SlowDoS configures the search for connections that are kept open by
// dripping an unfinished request.
type SlowDoS struct {
	// Connections is how many such connections one client may hold to one
	// service. Default 20.
	Connections int           `yaml:"connections"`
	MinAge      time.Duration `yaml:"min_age"` // of a connection; default 5s
	Window      time.Duration `yaml:"window"`  // default 1m
	// MaxBytes is how much the client may have sent in such a connection.
	// Default 4096.
	MaxBytes int `yaml:"max_bytes"`
	Services int `yaml:"services"` // pairs of client and service remembered; default 2048
}

// BruteForce configures the search for guessed passwords.
type BruteForce struct {
	// Failures is how many failed or repeated authentications one client may
	// make at one service within Window. Default 5.
	Failures int           `yaml:"failures"`
	Window   time.Duration `yaml:"window"` // default 1m
	// SlowFailures is the same within SlowWindow, however slowly. Default 15.
	SlowFailures int           `yaml:"slow_failures"`
	SlowWindow   time.Duration `yaml:"slow_window"` // default 1h
	Clients      int           `yaml:"clients"`     // pairs of client and service remembered; default 4096
	Flows        int           `yaml:"flows"`       // conversations with an authentication under way remembered; default 8192
}

// Exfiltration configures the search for data leaving the network.
type Exfiltration struct {
	// Bytes is how much payload an internal host may send to one external
	// destination within Window. Default 10,000,000.
	Bytes float64 `yaml:"bytes"`
	// CovertBytes is the same for DNS and ICMP echo. Default 1,000,000.
	CovertBytes float64       `yaml:"covert_bytes"`
	Window      time.Duration `yaml:"window"` // default 1h
	// Ratio is by what factor the bytes sent must exceed those received from
	// there. Default 4.
	Ratio float64 `yaml:"ratio"`
	// Usual is by what factor they must exceed what the host sends to its
	// other destinations on average. Default 3.
	Usual float64 `yaml:"usual"`
	Pairs int     `yaml:"pairs"` // pairs of hosts remembered; default 4096
}

// DNSTunnel configures the search for data carried in DNS names.
type DNSTunnel struct {
	// Names is how many different data-like names of one domain a client may
	// ask for within Window. Default 20.
	Names  int           `yaml:"names"`
	Window time.Duration `yaml:"window"` // default 10m
	// MinLength is the least length of the part of the name below the
	// registered domain that is data-like, in characters. Default 30; half as
	// many when the type asked for is NULL, TXT or private.
	MinLength int `yaml:"min_length"`
	// MinEntropy is its least Shannon entropy, in bits a character. Default 3.
	MinEntropy float64 `yaml:"min_entropy"`
	Domains    int     `yaml:"domains"` // pairs of client and domain remembered; default 2048
}

// ICMPTunnel configures the search for data carried in echo requests and
// replies.
type ICMPTunnel struct {
	// Mismatches is how many replies that do not repeat their request (RFC 792
	// demands it) a pair of hosts may exchange within Window. Default 5.
	Mismatches int `yaml:"mismatches"`
	// Sizes is how many different payload sizes a pair may use within Window.
	// Default 10.
	Sizes int `yaml:"sizes"`
	// Contents is how many different contents the requests of a pair may have
	// within Window, the first 16 bytes aside, where ping has its time stamp.
	// Default 10.
	Contents int           `yaml:"contents"`
	Window   time.Duration `yaml:"window"` // default 5m
	Pairs    int           `yaml:"pairs"`  // pairs of hosts remembered; default 2048
}

// Beacon configures the search for new connections at regular intervals.
type Beacon struct {
	// Repeats is how many connections at regular intervals to one external
	// service are regular enough to say so. Default 10.
	Repeats int `yaml:"repeats"`
	// Internal is by what factor more it takes when the service is internal,
	// as pages and monitors poll those all day. Default 10.
	Internal float64 `yaml:"internal"`
	// Jitter is the coefficient of variation of the intervals that is still
	// regular. Default 0.15.
	Jitter float64 `yaml:"jitter"`
	// SizeSpread is the coefficient of variation of the bytes sent in each
	// connection that is still alike. Default 0.2.
	SizeSpread  float64       `yaml:"size_spread"`
	MinInterval time.Duration `yaml:"min_interval"` // default 1s
	MinDuration time.Duration `yaml:"min_duration"` // of the whole series; default 2m30s
	Services    int           `yaml:"services"`     // pairs of client and service remembered; default 8192
}

// ARPSpoof configures the search for forged address resolution.
type ARPSpoof struct {
	// Claims is how many times within Window one MAC may claim an address that
	// another one holds. Default 3.
	Claims int `yaml:"claims"`
	// Unasked is how many replies to nobody's question one MAC may send to a
	// host within Window. Default 10.
	Unasked int           `yaml:"unasked"`
	Window  time.Duration `yaml:"window"` // default 1m
	Hosts   int           `yaml:"hosts"`  // addresses remembered; default 8192
}

// WebAttack configures the search for code in HTTP requests.
type WebAttack struct {
	// Evidence is how much code one client may send to one service within
	// Window: 1 for a request with a piece that hardly occurs by itself, half
	// as much for others. Default 0.9.
	Evidence float64       `yaml:"evidence"`
	Window   time.Duration `yaml:"window"`  // default 10m
	Clients  int           `yaml:"clients"` // pairs of client and service remembered; default 4096
}

// DGA configures the search for generated domains.
type DGA struct {
	// Domains is how many different registered domains that do not exist one
	// client may ask for within Window. Default 20.
	Domains int           `yaml:"domains"`
	Window  time.Duration `yaml:"window"`  // default 10m
	Clients int           `yaml:"clients"` // remembered; default 2048
}

// RemoteControl configures the search for machines worked on from afar through
// connections in no known protocol.
type RemoteControl struct {
	// Evidence is how many signs of it a connection may show: the output of a
	// shell, Turns, a program sent as such, Beats. Default 0.9, that is none.
	Evidence float64 `yaml:"evidence"`
	// Turns is how many typed lines of the called side the caller may answer.
	// Default 2.
	Turns int `yaml:"turns"`
	// Beats is how many messages of one length the caller may send at regular
	// intervals. Default 10.
	Beats int `yaml:"beats"`
	Flows int `yaml:"flows"` // connections remembered; default 8192
}

// Storm configures the search for machines that send broadcast after
// broadcast.
type Storm struct {
	// Rate is how many broadcasts a second one machine may send, address
	// resolution left out. Default 100.
	Rate    float64 `yaml:"rate"`
	Senders int     `yaml:"senders"` // machines remembered; default 4096
}

// WebShell configures the search for clients that only post to scripts.
type WebShell struct {
	// Posts is how many requests a client may send to one service within
	// Window if all of them post to scripts. Default 8.
	Posts   int           `yaml:"posts"`
	Window  time.Duration `yaml:"window"`  // default 1h
	Clients int           `yaml:"clients"` // pairs of client and service remembered; default 4096
}

// Newcomer configures the search for conversations that a settled network does
// not have.
type Newcomer struct {
	// Conversations is how many must have been seen within Window before the
	// network counts as known. Default 50.
	Conversations int           `yaml:"conversations"`
	Window        time.Duration `yaml:"window"` // default 10m
	// Most is the highest score. Default 0.9.
	Most     float64 `yaml:"most"`
	Services int     `yaml:"services"` // pairs of client and service remembered; default 16384
}

// OddPort configures the search for encrypted sessions on ports that are not
// made for them.
type OddPort struct {
	// Score is what such a session gets. Default 0.6, as about one benign
	// packet in 180 belongs to one.
	Score float64 `yaml:"score"`
	// Unvouched is what it gets if the server is outside and its
	// certificate comes without that of an authority. Default 0.85.
	Unvouched  float64 `yaml:"unvouched"`
	Confidence float64 `yaml:"confidence"` // of the class, at least; default 0.9
	Services   int     `yaml:"services"`   // pairs of client and service remembered; default 4096
}

// RequestFlood configures the search for clients that send more requests than
// people do.
type RequestFlood struct {
	// Rate is how many requests a second one client may send to one TCP service
	// for five seconds: requests of HTTP, or conversations that begin to say
	// something. Default 60.
	Rate    float64 `yaml:"rate"`
	Clients int     `yaml:"clients"` // pairs of client and service remembered; default 4096
}

// Default returns the documented defaults.
func Default() Config {
	return Config{
		PortScan: PortScan{Rate: 50, MinPorts: 10, Ports: 20, Protocols: 10, Served: 0.4,
			Sources: 4, Shared: 40, Refused: 200, Window: time.Hour, Pairs: 2048},
		HostScan: HostScan{FastHosts: 30, FastWindow: time.Minute, Hosts: 60, Window: time.Hour,
			Answered: 0.3, Density: 0.3, Scattered: 4, Sources: 2048},
		Flood: Flood{Sigma: 3, Rate: 100, History: 10 * time.Second, ColdRate: 250, Echo: 200,
			Reflection: 20, Destinations: 4096},
		SlowDoS: SlowDoS{Connections: 20, MinAge: 5 * time.Second, Window: time.Minute,
			MaxBytes: 4096, Services: 2048},
		BruteForce: BruteForce{Failures: 5, Window: time.Minute, SlowFailures: 15, SlowWindow: time.Hour,
			Clients: 4096, Flows: 8192},
		Exfiltration: Exfiltration{Bytes: 10e6, CovertBytes: 1e6, Window: time.Hour, Ratio: 4,
			Usual: 3, Pairs: 4096},
		DNSTunnel: DNSTunnel{Names: 20, Window: 10 * time.Minute, MinLength: 30, MinEntropy: 3,
			Domains: 2048},
		ICMPTunnel: ICMPTunnel{Mismatches: 5, Sizes: 10, Contents: 10, Window: 5 * time.Minute, Pairs: 2048},
		Beacon: Beacon{Repeats: 10, Internal: 10, Jitter: 0.15, SizeSpread: 0.2, MinInterval: time.Second,
			MinDuration: 150 * time.Second, Services: 8192},
		ARPSpoof:      ARPSpoof{Claims: 3, Unasked: 10, Window: time.Minute, Hosts: 8192},
		WebAttack:     WebAttack{Evidence: 0.9, Window: 10 * time.Minute, Clients: 4096},
		DGA:           DGA{Domains: 20, Window: 10 * time.Minute, Clients: 2048},
		RemoteControl: RemoteControl{Evidence: 0.9, Turns: 2, Beats: 10, Flows: 8192},
		Storm:         Storm{Rate: 100, Senders: 4096},
		WebShell:      WebShell{Posts: 8, Window: time.Hour, Clients: 4096},
		Newcomer:      Newcomer{Conversations: 50, Window: 10 * time.Minute, Most: 0.9, Services: 16384},
		OddPort:       OddPort{Score: 0.6, Unvouched: 0.85, Confidence: 0.9, Services: 4096},
		RequestFlood:  RequestFlood{Rate: 60, Clients: 4096},
	}
}
