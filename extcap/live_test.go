package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// network is two hosts, a and b, that are joined by their interfaces veth0. Each
// is a network namespace of its own.
type network struct {
	*lab
	a, b string // names of the namespaces
}

const (
	addressA = "10.77.0.1"
	addressB = "10.77.0.2"
)

// newNetwork needs root, and skips the test without it.
func newNetwork(t *testing.T) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip(err)
	}
	n := &network{lab: newLab(t)}
	unique := filepath.Base(filepath.Dir(n.home))
	n.a, n.b = "ampulla-a-"+unique, "ampulla-b-"+unique
	for _, space := range []string{n.a, n.b} {
		if out, err := n.command("ip", "netns", "add", space).CombinedOutput(); err != nil {
			t.Skipf("no network namespaces here: %s", out)
		}
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", space).Run() })
		n.must(n.in(space, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"))
		n.must(n.in(space, "ip", "link", "set", "lo", "up"))
	}
	n.must(n.command("ip", "link", "add", "veth0", "netns", n.a, "type", "veth", "peer", "name", "veth0", "netns", n.b))
	for space, address := range map[string]string{n.a: addressA, n.b: addressB} {
		n.must(n.in(space, "ip", "addr", "add", address+"/24", "dev", "veth0"))
		n.must(n.in(space, "ip", "link", "set", "veth0", "up"))
	}
	return n
}

// in returns a command on one of the hosts.
func (n *network) in(space, name string, args ...string) *exec.Cmd {
	return n.command("ip", append([]string{"netns", "exec", space, name}, args...)...)
}

// play has somebody play a part until the test ends, see play.
func (n *network) play(space, part string) {
	n.t.Helper()
	command := n.in(space, os.Args[0])
	command.Env = append(n.env, role+"="+part)
	if err := command.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
}

// process is a program in the background.
type process struct {
	*exec.Cmd
	out, said bytes.Buffer
	came      []time.Time // when each line of out did
	read      chan struct{}
}

// start starts a program on host a.
func (n *network) start(name string, args ...string) *process {
	n.t.Helper()
	p := &process{Cmd: n.in(n.a, name, args...), read: make(chan struct{})}
	p.Stderr = &p.said
	pipe, err := p.StdoutPipe()
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		n.t.Fatal(err)
	}
	go func() {
		defer close(p.read)
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			p.came = append(p.came, time.Now())
			p.out.WriteString(lines.Text() + "\n")
		}
	}()
	n.t.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

// tshark starts an AI capture on host a.
func (n *network) tshark(args ...string) *process {
	n.t.Helper()
	return n.start("tshark", append([]string{"-i", "ai", "-o", "extcap.ai.interface:veth0", "-n"}, args...)...)
}

// end waits until a program has ended.
func (n *network) end(p *process) {
	n.t.Helper()
	<-p.read
	_ = p.Wait()
}

// stop ends a program as Ctrl-C does.
func (n *network) stop(p *process) {
	n.t.Helper()
	_ = p.Process.Signal(syscall.SIGINT)
	n.end(p)
}

// captured waits until a capture file holds so many frames.
func (n *network) captured(path string, count int) {
	n.t.Helper()
	n.until(fmt.Sprintf("%s holds %d frames", path, count), func() bool {
		_, err := os.Stat(path)
		return err == nil && len(n.frames(path)) >= count
	})
}

// stampOnce has the kernel give a packet one time stamp for all who capture it,
// as it does while anybody wants to know when their packets came; otherwise each
// of them gets its own. Segments of TCP that are received from another namespace
// are beyond its reach: their place for it is taken, by the time at which they
// were to be sent.
func stampOnce(t *testing.T) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMP, 1) })
	if err != nil {
		t.Fatal(err)
	}
}

// TestLive scans host b while curl loads pages from it, and looks at it in three
// ways: by filter as packets arrive, in the saved capture, and by a plain
// dumpcap, of which the frames have to be the same, and their time stamps. Those
// of the dumpcap behind the saved capture are, in their order.
func TestLive(t *testing.T) {
	n := newNetwork(t)
	for _, tool := range []string{"nmap", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	stampOnce(t)
	n.play(n.b, "web "+addressB+":8000")
	plain, raw, live := n.path("plain.pcapng"), n.path("raw.pcapng"), n.path("live.pcapng")
	reference := n.start("dumpcap", "-q", "-i", "veth0", "-w", plain)
	n.captured(plain, 0)
	shown := n.tshark("-l", "-Y", "ai.anomaly.score > 0.8", "-T", "fields", "-e", "frame.time_epoch", "-e", "ai.anomaly.type",
		"-e", "ip.src", "-e", "ip.dst", "-e", "ai.source")
	n.until("one is capturing", func() bool { return len(n.processes("dumpcap\x00-q\x00-w\x00-\x00", "veth0")) == 1 })
	n.listenIn(raw)
	saved := n.tshark("-w", live)
	n.until("both are capturing", func() bool { return len(n.processes("dumpcap\x00-q\x00-w\x00-\x00", "veth0")) == 2 })
	load := n.start("sh", "-c", "while curl -s -o page http://"+addressB+":8000; do sleep 0.02; done")
	n.captured(plain, 100)
	n.captured(live, 100)
	n.must(n.in(n.a, "nmap", "-n", "-Pn", "-p", "1-600", addressB))
	n.captured(live, 1000)
	time.Sleep(time.Second) // for what is still on its way
	n.stop(shown)
	n.stop(saved)
	_ = load.Process.Kill()
	n.captured(plain, len(n.frames(live))+1)
	n.stop(reference)
	n.noOrphans()

	mac := strings.TrimSpace(n.must(n.in(n.a, "cat", "/sys/class/net/veth0/address")))
	sender, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	compareFrames(t, string(sender), n.frames(plain), n.frames(live))
	if got := n.frames(live); !slices.Equal(got, n.frames(raw)[:len(got)]) {
		t.Error("frames are not those of the dumpcap behind it, bit for bit")
	}
	if counts := strings.Count(shown.out.String(), "\tport_scan\t"); counts < 300 {
		t.Errorf("%d frames of the scan were shown: %s", counts, &shown.said)
	}
	latest := time.Duration(0)
	for i, line := range strings.Split(strings.TrimSpace(shown.out.String()), "\n") {
		fields := strings.Split(line, "\t")
		if len(fields) != 5 || fields[4] != "comment" || !slices.Contains([]string{addressA, addressB}, fields[2]) {
			t.Fatalf("line %q", line)
		}
		epoch, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		latest = max(latest, shown.came[i].Sub(time.Unix(0, int64(epoch*1e9))))
	}
	t.Logf("%d flagged frames, shown within %v of their capture", len(shown.came), latest)

	// The same verdicts as those of annotate.
	again := n.path("again.pcapng")
	n.must(n.command(n.path("ampulla"), "annotate", live, again))
	if got, want := n.comments(live), n.comments(again); got != want || !strings.Contains(got, "type=port_scan") {
		t.Error("comments are not those of annotate")
	}
}

// TestLiveVersions captures with the other Wiresharks and their dumpcaps, which
// root runs as root here: other users may not capture.
func TestLiveVersions(t *testing.T) {
	paths := otherWiresharks(t)
	n := newNetwork(t)
	n.play(n.a, "datagrams "+addressB+":9")
	for _, path := range paths {
		dir, out := filepath.Dir(path), n.path("out.pcapng")
		t.Run(filepath.Base(dir), func(t *testing.T) {
			_ = os.Remove(out)
			const run = `mount --rbind /usr/local "$0/local" && mount --rbind "$0" /usr && exec tshark "$@"`
			p := n.start("unshare", "--mount", "sh", "-c", run, filepath.Join(dir, "root/usr"),
				"-i", "ai", "-o", "extcap.ai.interface:veth0", "-o", "extcap.ai.comments:all", "-n", "-w", out)
			n.captured(out, 50)
			n.stop(p)
			n.noOrphans()
			if judged, frames := strings.Count(n.comments(out), "ai/1 class="), len(n.frames(out)); judged < frames/2 {
				t.Errorf("%d of %d frames have a verdict; tshark says %s", judged, frames, &p.said)
			}
		})
	}
}

// compareFrames checks that part, which was captured at the same time as all but
// began later and ended earlier, lacks nothing and changed nothing. The time
// stamps of what sender sent have to be the same, see stampOnce. The order is not
// compared: what two processors handle at once, the kernel gives to each who
// captures in an order of their own.
func compareFrames(t *testing.T, sender string, all, part []frame) {
	t.Helper()
	if len(part) < 1000 {
		t.Fatalf("%d frames", len(part))
	}
	const margin = 10_000_000 // ns, for what was on its way at the beginning and at the end
	from, to := part[0].time+margin, part[len(part)-1].time-margin
	known := func(f frame) frame {
		if f.data[6:12] != sender {
			f.time = 0
		}
		return f
	}
	for name, pair := range map[string][2][]frame{"missing": {all, part}, "not in the plain capture": {part, all}} {
		count := map[frame]int{}
		for _, f := range pair[1] {
			count[known(f)]++
		}
		wrong := 0
		for _, f := range pair[0] {
			if f.time < from || f.time > to {
				continue
			}
			if f = known(f); count[f] == 0 {
				if wrong++; wrong == 1 {
					t.Errorf("frame %.100x of %d is %s", f.data, f.time, name)
				}
				continue
			}
			count[f]--
		}
		if wrong > 1 {
			t.Errorf("%d frames are %s", wrong, name)
		}
	}
}

// listenIn has each dumpcap that the capture program starts leave a copy of what
// it writes in a file.
func (n *network) listenIn(copy string) {
	n.t.Helper()
	real, err := exec.LookPath("dumpcap")
	if err != nil {
		n.t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/bash\ncase \"$*\" in *' -w - '*) exec %s \"$@\" > >(tee %s) ;; *) exec %[1]s \"$@\" ;; esac\n", real, copy)
	if err := os.Mkdir(n.path("bin"), 0o700); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(n.path("bin/dumpcap"), []byte(script), 0o700); err != nil {
		n.t.Fatal(err)
	}
	n.env = append(n.env, "PATH="+n.path("bin")+":"+os.Getenv("PATH"))
}
