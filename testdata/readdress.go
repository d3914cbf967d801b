//go:build ignore

// Readdress copies a capture of Ethernet from standard input to standard output,
// as pcapng, with other IP addresses: the same number, up to 7, names the same
// others, and 0 those that they are. Networks stay together, and private ones
// private; multicast and broadcast stay as they are. Checksums are left wrong: what
// measures speed here reads none.
//
// usage: go run testdata/readdress.go NUMBER <IN >OUT
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"ampulla/annotator/pcapng"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "readdress:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: go run testdata/readdress.go NUMBER <IN >OUT")
	}
	number, err := strconv.ParseUint(os.Args[1], 10, 3)
	if err != nil {
		return err
	}
	reader, out := pcapng.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		block, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		if block.IsFrame() {
			readdress(block.Data(), byte(number))
		}
		if _, err := out.Write(block.Raw); err != nil {
			return err
		}
	}
}

// readdress changes the addresses of a frame, as far as it holds them.
func readdress(frame []byte, number byte) {
	const tag = 4
	at := 12
	for len(frame) >= at+tag && binary.BigEndian.Uint16(frame[at:]) == 0x8100 {
		at += tag
	}
	if len(frame) < at+2 {
		return
	}
	header := frame[at+2:]
	switch binary.BigEndian.Uint16(frame[at:]) {
	case 0x0800: // IPv4
		change(header, 12, 4, number)
		change(header, 16, 4, number)
	case 0x0806: // ARP
		change(header, 14, 4, number)
		change(header, 24, 4, number)
	case 0x86dd: // IPv6
		change(header, 8, 16, number)
		change(header, 24, 16, number)
	}
}

// change changes the address of n bytes at an offset: the number of its network.
func change(header []byte, at, n int, number byte) {
	if len(header) < at+n {
		return
	}
	switch a := header[at : at+n]; {
	case n == 4 && (a[0] >= 224 || a[0] == 0):
	case n == 4:
		a[2] ^= number << 5
	case a[0] == 0xff || a[0] == 0:
	case a[0] == 0xfe: // link-local: that of the machine
		a[13] ^= number << 5
	default:
		a[7] ^= number << 5
	}
}
