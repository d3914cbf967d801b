package detect

import (
	"fmt"
	"testing"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

func TestHostScan(t *testing.T) {
	host := func(i int) string { return fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250) }
	scattered := func(i int) string { return fmt.Sprintf("%d.%d.7.9", 20+i%97, 1+i*7%251) }
	play(t, verdict.HostScan, func() Detector { return newHostScan(Default().HostScan) }, []scene{
		{name: "at the threshold", flagged: 0, play: func(w *wire) {
			for i := range 30 {
				w.tcp("10.0.9.9:40000", at(host(i), 445), packet.SYN, "")
			}
		}},
		{name: "beyond the threshold", flagged: 1, play: func(w *wire) {
			for i := range 31 {
				w.tcp("10.0.9.9:40000", at(host(i), 445), packet.SYN, "")
				w.wait(100 * time.Millisecond)
			}
		}, reason: "tried TCP port 445 of 31 hosts within 3.0 s, 0 of them answered; hosts that people call mostly do"},
		{name: "slow", flagged: 10, play: func(w *wire) {
			for i := range 70 {
				w.tcp("10.0.9.9:40000", at(host(i), 445), packet.SYN, "")
				w.wait(30 * time.Second)
			}
		}},
		{name: "ping sweep", flagged: 70, play: func(w *wire) {
			for i := range 100 {
				w.echo("10.0.9.9", host(i), false, 1, "abcdefgh")
			}
		}},
		{name: "slow ping sweep by a host with friends elsewhere", flagged: 41, play: func(w *wire) {
			w.echo("10.0.9.9", "172.16.1.1", false, 1, "abcdefgh")
			for i := range 100 {
				w.echo("10.0.9.9", host(i), false, 1, "abcdefgh")
				w.wait(30 * time.Second)
			}
		}},
		{name: "ARP sweep", flagged: 70, play: func(w *wire) {
			for i := range 100 {
				w.arp(1, 66, "10.0.9.9", 0, host(i))
			}
		}},
		{name: "a server asks for those who called", flagged: 0, play: func(w *wire) {
			for i := range 100 {
				w.tcp(at(host(i), 40000), "10.0.9.9:80", packet.SYN, "")
				w.arp(1, 66, "10.0.9.9", 0, host(i))
				w.connect(at(host(i), 40000), "10.0.9.9:80")
			}
		}},
		{name: "a router asks for scattered hosts", flagged: 0, play: func(w *wire) {
			for i := range 500 {
				w.arp(1, 66, "10.0.0.1", 0, fmt.Sprintf("10.0.%d.%d", i*37%256, 1+i*11%250))
			}
		}},
		{name: "UDP to a dense range", flagged: 70, play: func(w *wire) {
			for i := range 100 {
				w.udp("10.0.9.9:40000", at(host(i), 6892), "hello")
			}
		}},
		{name: "peers that are gone", flagged: 0, play: func(w *wire) {
			for i := range 90 {
				w.udp("10.0.9.9:40000", at(scattered(i), 6346), "hello")
			}
		}},
		{name: "a worm in the internet", flagged: 80, play: func(w *wire) {
			for i := range 200 {
				w.tcp("10.0.9.9:40000", at(scattered(i), 23), packet.SYN, "")
				w.wait(10 * time.Millisecond)
			}
		}},
		{name: "a resolver asks many servers", flagged: 0, play: func(w *wire) {
			for i := range 500 {
				w.udp(at("10.0.9.9", 10000+i), at(host(i), 53), "query")
				w.udp(at(host(i), 53), at("10.0.9.9", 10000+i), "answer")
			}
		}},
		{name: "a crawler", flagged: 0, play: func(w *wire) {
			for i := range 500 {
				client, server := at("10.0.9.9", 10000+i), at(host(i), 443)
				w.connect(client, server)
				w.say(client, server, "hello")
				w.say(server, client, "hello")
			}
		}},
		{name: "a crawler seen from one side", flagged: 0, play: func(w *wire) {
			for i := range 500 {
				client, server := at("10.0.9.9", 10000+i), at(host(i), 443)
				w.tcp(client, server, packet.SYN, "")
				w.tcp(client, server, packet.ACK, "")
				w.say(client, server, "hello")
			}
		}},
		{name: "a monitor pings hosts that answer", flagged: 0, play: func(w *wire) {
			for i := range 200 {
				w.echo("10.0.9.9", host(i), false, 1, "abcdefgh")
				w.echo(host(i), "10.0.9.9", true, 1, "abcdefgh")
			}
		}},
		{name: "SYN flood from random sources", flagged: 0, play: func(w *wire) {
			for i := range 500 {
				w.tcp(at(scattered(i), 40000), "10.0.0.5:80", packet.SYN, "")
			}
		}},
	})
}
