package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ampulla/annotator/verdict"
	"ampulla/annotator/web"
)

// count writes a number with its thousands apart: 12,345.
func count[N int | int64 | uint64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		if s[i-1] != '-' {
			s = s[:i] + "," + s[i:]
		}
	}
	return s
}

// plural writes a number with its noun: 1 packet, 2 packets.
func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// size writes a number of bytes.
func size(n uint64) string { return web.Bytes(int64(min(n, 1<<62))) }

// millis writes milliseconds.
func millis(x float64) string {
	switch {
	case x >= 100_000:
		return fmt.Sprintf("%.0f s", x/1000)
	case x >= 1000:
		return fmt.Sprintf("%.2f s", x/1000)
	case x >= 10:
		return fmt.Sprintf("%.0f ms", x)
	case x == 0:
		return "–"
	case x < 0.1:
		return "< 0.1 ms"
	}
	return fmt.Sprintf("%.1f ms", x)
}

// duration writes seconds.
func duration(s float64) string {
	switch d := time.Duration(s * 1e9); {
	case d >= time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	case d >= 2*time.Minute:
		return d.Round(time.Second).String()
	}
	return millis(s * 1000)
}

// rate writes bits a second.
func rate(x float64) string {
	switch {
	case x >= 1e9:
		return trimmed(x/1e9) + " Gbit/s"
	case x >= 1e6:
		return trimmed(x/1e6) + " Mbit/s"
	case x >= 1e3:
		return trimmed(x/1e3) + " kbit/s"
	}
	return trimmed(x) + " bit/s"
}

func trimmed(x float64) string {
	if x >= 10 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 1, 64), ".0")
}

func share(x float64) string {
	switch {
	case x > 0 && x < 0.001:
		return "< 0.1 %"
	case x < 0.1:
		return fmt.Sprintf("%.1f %%", 100*x)
	}
	return fmt.Sprintf("%.0f %%", 100*x)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000 UTC")
}

// frames writes frame numbers.
func frames(list []uint64) string {
	if len(list) == 0 {
		return "–"
	}
	parts := make([]string, len(list))
	for i, n := range list {
		parts[i] = strconv.FormatUint(n, 10)
	}
	return strings.Join(parts, ", ")
}

// frameFilter returns a display filter for frames.
func frameFilter(list []uint64) string {
	if len(list) == 0 {
		return ""
	}
	return "frame.number in {" + strings.ReplaceAll(frames(list), " ", "") + "}"
}

// clean leaves out what could make a page lie about what it shows: control
// characters but line ends, and those that turn the direction of writing. What
// comes out of a capture is never to be trusted.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return '·'
		}
		return r
	}, s)
}

// shorten cuts the middle out of a long text.
func shorten(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return string(runes)
	}
	head := n * 2 / 3
	return string(runes[:head]) + "…" + string(runes[len(runes)-(n-head-1):])
}

// command returns a command that shows the packets of a display filter.
func (r *Report) command(filter string) string {
	keys := ""
	if r.Made.KeyLog {
		keys = " -o tls.keylog_file:KEYS"
	}
	return "tshark -r " + quote(r.Capture.Name) + keys + " -Y " + quote(filter)
}

// quote writes a word for a shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-/+", r))
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// causeWords says a cause in words.
func causeWords(cause string) string {
	switch cause {
	case web.CauseTimeout:
		return "an API does not answer in time"
	case web.CauseServer:
		return "the server fails (5xx)"
	case web.CauseReset:
		return "the server breaks connections off"
	case web.CauseConnect:
		return "a server cannot be reached"
	case web.CauseDNS:
		return "a name cannot be looked up"
	case web.CauseTLS:
		return "TLS sessions fail"
	case web.CauseThirdParty:
		return "a third party is slow"
	case web.CauseSlow:
		return "answers are slow"
	case web.CauseClient:
		return "requests are refused (4xx)"
	}
	return cause
}

// nextSteps says what to do about a type of anomaly.
func nextSteps(t verdict.Type) []string {
	switch t {
	case verdict.PortScan, verdict.HostScan:
		return []string{"Find out who runs the source: an inventory or monitoring tool scans too.", "Look at what answered; close or filter what nobody needs.", "If the source should not be there, isolate it, and look for what it did before."}
	case verdict.Flood:
		return []string{"Limit the rate at the edge, or have the provider filter it.", "Compare with what the service usually gets: a launch looks alike.", "For reflections, tell the owners of the reflecting servers."}
	case verdict.SlowDoS:
		return []string{"Shorten the server's time-out for request headers and bodies.", "Limit connections of one address."}
	case verdict.BruteForce:
		return []string{"Look in the server's log whether a log-in succeeded.", "Lock or limit the source; change the password if one was guessed.", "Allow keys or a second factor only."}
	case verdict.Exfiltration, verdict.DNSTunnel, verdict.ICMPTunnel:
		return []string{"Ask who owns the source what was sent; a backup looks alike.", "Block the destination, and keep the capture.", "Look for the program on the source that sends."}
	case verdict.Beacon:
		return []string{"Find the program on the source that calls: updates and telemetry beacon too.", "Check who runs the destination.", "If nobody knows it, isolate the source."}
	case verdict.ARPSpoof:
		return []string{"Find the switch port of the forging MAC address.", "Turn on dynamic ARP inspection.", "Treat what the two hosts said meanwhile as read by others."}
	}
	return []string{"Read the reason, and look at the frames.", "Ask who owns the host whether that is meant."}
}
