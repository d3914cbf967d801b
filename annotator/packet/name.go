package packet

// linkName is the Wireshark name of the packets of a link type of which no
// more than that is known.
func linkName(linkType uint16) string {
	switch linkType {
	case 7, 129:
		return "arcnet"
	case 143:
		return "docsis"
	case 186, 189, 220, 249, 266:
		return "usb"
	case 288, 293, 294, 295:
		return "usbll"
	case 187, 201, 254:
		return "bluetooth"
	case 251, 256:
		return "btle"
	case 195, 215, 230, 283:
		return "wpan"
	case 224, 225:
		return "fc"
	case 227:
		return "can"
	case 253:
		return "netlink"
	}
	return ""
}

// etherTypeName is the Wireshark name of an EtherType that is not looked into.
func etherTypeName(t uint16) string {
	switch t {
	case 0x0842:
		return "wol"
	case 0x0bad:
		return "vines_ip"
	case 0x2001:
		return "cgmp"
	case 0x22ea:
		return "mrp-msrp"
	case 0x22f0:
		return "ieee1722"
	case 0x22f3:
		return "trill"
	case 0x22f4:
		return "isis"
	case 0x4305:
		return "batadv"
	case 0x6003:
		return "dec_dna"
	case 0x6004:
		return "lat"
	case 0x8038:
		return "dec_stp"
	case 0x809b:
		return "ddp"
	case 0x80f3:
		return "aarp"
	case 0x8137, 0x8138:
		return "ipx"
	case 0x8783:
		return "mint"
	case 0x8808:
		return "macc"
	case 0x8863:
		return "pppoed"
	case 0x886f:
		return "msnlb"
	case 0x888e, 0x88c7:
		return "eapol"
	case 0x88a2:
		return "aoe"
	case 0x88ca:
		return "tipc"
	case 0x88cc:
		return "lldp"
	case 0x88d9:
		return "lltd"
	case 0x88e5:
		return "macsec"
	case 0x88ee:
		return "elmi"
	case 0x88f5:
		return "mrp-mvrp"
	case 0x88f6:
		return "mrp-mmrp"
	case 0x88f8:
		return "ncsi"
	case 0x8902:
		return "cfm"
	case 0x890d: // tunnelled direct link setup
		return "wlan"
	case 0x8906:
		return "fcoe"
	case 0x8914:
		return "fip"
	case 0x8915:
		return "infiniband"
	case 0x893a:
		return "ieee1905"
	case 0x9000:
		return "loop"
	case 0xaefe:
		return "ecpri"
	}
	return fieldName(t)
}

// fieldName is the Wireshark name of an EtherType of industry or the home.
func fieldName(t uint16) string {
	switch t {
	case 0x80e1:
		return "dlr"
	case 0x887b:
		return "homeplug"
	case 0x8892:
		return "pn_rt"
	case 0x8899:
		return "realtek"
	case 0x88a4:
		return "ecatf"
	case 0x88ab:
		return "epl"
	case 0x88b8:
		return "goose"
	case 0x88ba:
		return "sv"
	case 0x88cd:
		return "siii"
	case 0x88e1:
		return "homeplug-av"
	case 0x88e3:
		return "pn_mrp"
	case 0x88f7:
		return "ptp"
	case 0x88fb:
		return "hsr_prp_supervision"
	}
	return ""
}

// llcName is the Wireshark name of an 802.2 service access point.
func llcName(sap uint8) string {
	switch sap {
	case 0x04, 0x08, 0x0c, 0x40, 0xc8:
		return "sna"
	case 0x10, 0xe0:
		return "ipx"
	case 0x42:
		return "stp"
	case 0x7e:
		return "x25"
	case 0x80:
		return "3comxns"
	case 0x82:
		return "bacnet"
	case 0xf0:
		return "netbios"
	case 0xf8:
		return "hpext"
	case 0xfc:
		return "rpl"
	}
	return ""
}

// snapName is the Wireshark name of an organisation's SNAP protocol.
func snapName(oui uint32, id uint16) string {
	switch oui {
	case ouiCisco:
		switch id {
		case 0x0104:
			return "pagp"
		case 0x0108, 0x0109, 0x010b, 0x010c:
			return "stp"
		case 0x0111:
			return "udld"
		case 0x2000:
			return "cdp"
		case 0x2001:
			return "cgmp"
		case 0x2003:
			return "vtp"
		case 0x2004:
			return "dtp"
		}
	case ouiExtreme:
		if id == 0x00bb {
			return "edp"
		}
	case ouiFoundry:
		if id == 0x2000 {
			return "fdp"
		}
	case ouiNortel:
		if id == 0x01a1 || id == 0x01a2 {
			return "ndp"
		}
	}
	return ""
}

// pppName is the Wireshark name of a PPP protocol that is not looked into.
func pppName(protocol uint16) string {
	switch protocol {
	case 0x002b:
		return "ipx"
	case 0x002d, 0x002f:
		return "vjc"
	case 0x003d:
		return "mp"
	case 0x00fd:
		return "comp_data"
	case 0x8021:
		return "ipcp"
	case 0x8031:
		return "bcp_ncp"
	case 0x8057:
		return "ipv6cp"
	case 0x80fd:
		return "ccp"
	case 0xc021:
		return "lcp"
	case 0xc023:
		return "pap"
	case 0xc029:
		return "cbcp"
	case 0xc223:
		return "chap"
	case 0xc227:
		return "eap"
	}
	return ""
}

// protoName is the Wireshark name of an IP protocol; those of tunnels are for
// packets whose inside cannot be decoded.
func protoName(proto uint8) string {
	switch proto {
	case ProtoICMP:
		return "icmp"
	case ProtoIGMP:
		return "igmp"
	case 9:
		return "igrp"
	case protoDCCP:
		return "dccp"
	case 46:
		return "rsvp"
	case protoGRE:
		return "gre"
	case 50:
		return "esp"
	case 54:
		return "nhrp"
	case protoAH:
		return "ah"
	case ProtoICMPv6:
		return "icmpv6"
	case 88:
		return "eigrp"
	case 89:
		return "ospf"
	case protoEtherIP:
		return "etherip"
	case 103:
		return "pim"
	case 108:
		return "ipcomp"
	case 112:
		return "vrrp"
	case 113:
		return "pgm"
	case 115:
		return "l2tp"
	case 62, protoMobility:
		return "mipv6"
	case protoUDPLite:
		return "udplite"
	case protoMPLS:
		return "mpls"
	case protoHIP:
		return "hip"
	case protoShim6:
		return "shim6"
	}
	return ""
}
