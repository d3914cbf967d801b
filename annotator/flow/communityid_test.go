package flow

import (
	"net/netip"
	"testing"

	"ampulla/annotator/packet"
)

// TestCommunityID checks values of the specification's reference implementation,
// communityid 1.5.0 for Python.
func TestCommunityID(t *testing.T) {
	tests := []struct {
		name         string
		src, dst     string
		proto        uint8
		sport, dport uint16
		typ, code    uint8
		want         string
	}{
		{"TCP", "128.232.110.120", "66.35.250.204", 6, 34855, 80, 0, 0, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"TCP, answer", "66.35.250.204", "128.232.110.120", 6, 80, 34855, 0, 0, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"UDP", "192.168.1.52", "8.8.8.8", 17, 54585, 53, 0, 0, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{"UDP, same address", "10.0.0.1", "10.0.0.1", 17, 9000, 53, 0, 0, "1:gsvseNjZeD/je780tc9X9gEKAxo="},
		{"SCTP", "192.168.170.8", "192.168.170.56", 132, 7, 80, 0, 0, "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="},
		{"TCP over IPv6", "2001:db8::2", "2001:db8::1", 6, 443, 50000, 0, 0, "1:YXqXufkGr4i6TbJJYF83fvyDLZ8="},
		{"ICMP echo", "192.168.0.89", "192.168.0.1", 1, 0, 0, 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{"ICMP echo reply", "192.168.0.1", "192.168.0.89", 1, 0, 0, 0, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{"ICMP type 9", "192.168.0.89", "192.168.0.1", 1, 0, 0, 9, 0, "1:0hTYL8ekh0YMbFphUlZIMctBe1g="},
		{"ICMP type 10", "192.168.0.89", "192.168.0.1", 1, 0, 0, 10, 0, "1:ZCE6FYKtYq6/Z5/7VYclhgEesAg="},
		{"ICMP type 13", "192.168.0.89", "192.168.0.1", 1, 0, 0, 13, 0, "1:oeo0XqAz7cn/+sOcFFOn55Omz0U="},
		{"ICMP type 14", "192.168.0.89", "192.168.0.1", 1, 0, 0, 14, 0, "1:uiloJmzo9VB4N869eqNADHXuQJM="},
		{"ICMP type 15", "192.168.0.89", "192.168.0.1", 1, 0, 0, 15, 0, "1:fOg3Bo3uOxI7xD431D+RTtZCCjw="},
		{"ICMP type 16", "192.168.0.89", "192.168.0.1", 1, 0, 0, 16, 0, "1:6ZCKi6lsG2Rw85OQJ+W89GVQOrE="},
		{"ICMP type 17", "192.168.0.89", "192.168.0.1", 1, 0, 0, 17, 0, "1:l6FQTO9IDRsq7cW/KitEu2ab7NM="},
		{"ICMP type 18", "192.168.0.89", "192.168.0.1", 1, 0, 0, 18, 0, "1:6dTj0ptxvEN9+cuc4SfVqQjtlW8="},
		{"ICMP port unreachable", "192.168.0.89", "192.168.0.1", 1, 0, 0, 3, 3, "1:dPRpNwuTNOTQEtM23HPAdlCnrwc="},
		{"ICMPv6 type 128", "2001:db8::2", "2001:db8::1", 58, 0, 0, 128, 0, "1:YDcnf7YthUKAbDNo6Cs3rX4jq4w="},
		{"ICMPv6 type 129", "2001:db8::2", "2001:db8::1", 58, 0, 0, 129, 0, "1:u2vMS3HiWth2lIMKHB1fjELshpQ="},
		{"ICMPv6 type 130", "2001:db8::2", "2001:db8::1", 58, 0, 0, 130, 0, "1:xps6Lwc0qSxO2d8X+k4jnhqfpP0="},
		{"ICMPv6 type 131", "2001:db8::2", "2001:db8::1", 58, 0, 0, 131, 0, "1:00K5zJ2eLsDMSeSVZcN3NeAa3kQ="},
		{"ICMPv6 type 133", "2001:db8::2", "2001:db8::1", 58, 0, 0, 133, 0, "1:QtPNtSu54LNnRaBsOVcKuZTB5oQ="},
		{"ICMPv6 type 134", "2001:db8::2", "2001:db8::1", 58, 0, 0, 134, 0, "1:j9J4Qsivj289oKjVsnIMK9RRB8s="},
		{"ICMPv6 type 135", "2001:db8::2", "2001:db8::1", 58, 0, 0, 135, 0, "1:piFQJmm/6+NlvVh+iLYDZMGiCm8="},
		{"ICMPv6 type 136", "2001:db8::2", "2001:db8::1", 58, 0, 0, 136, 0, "1:R9HBIi387RnKhKUU53rFlnl803U="},
		{"ICMPv6 type 139", "2001:db8::2", "2001:db8::1", 58, 0, 0, 139, 0, "1:EyvsTyxh629HwHG1XyqvKuccnPM="},
		{"ICMPv6 type 140", "2001:db8::2", "2001:db8::1", 58, 0, 0, 140, 0, "1:Sk22M0RiSzqPc3Ud7RgLkieiFvo="},
		{"ICMPv6 type 144", "2001:db8::2", "2001:db8::1", 58, 0, 0, 144, 0, "1:tpS7VP1V1DNOq0L6LOxDDupNGcA="},
		{"ICMPv6 type 145", "2001:db8::2", "2001:db8::1", 58, 0, 0, 145, 0, "1:ms66bqjCiS0Nx3DNXCp9wH22xNw="},
		{"ICMPv6 unreachable", "2001:db8::2", "2001:db8::1", 58, 0, 0, 1, 4, "1:qxd1LeYGiZWewhdgFCEH4g39f1w="},
		{"ESP", "192.168.0.89", "192.168.0.1", 50, 0, 0, 0, 0, "1:T6+YmcTY4u33JpFNwAtdJl5CNBs="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, dst := netip.MustParseAddr(tt.src), netip.MustParseAddr(tt.dst)
			p := packet.Packet{
				Version: 4, Proto: tt.proto, Src: src.As16(), Dst: dst.As16(),
				SrcPort: tt.sport, DstPort: tt.dport, ICMPType: tt.typ, ICMPCode: tt.code,
			}
			if src.Is6() {
				p.Version = 6
			}
			if got := communityID(&p, endsOf(&p)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
