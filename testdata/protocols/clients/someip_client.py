"""Offers and calls as the library someip builds them."""
import socket
import sys
import ipaddress

from someip import header

offer = header.SOMEIPSDEntry(header.SOMEIPSDEntryType.OfferService, 0x1234, 1, 1, 3, options_1=(
    header.IPv4EndpointOption(ipaddress.IPv4Address(sys.argv[1]), header.L4Protocols.UDP, 30509),), minver_or_counter=0)
find = header.SOMEIPSDEntry(header.SOMEIPSDEntryType.FindService, 0x1234, 0xFFFF, 255, 3, minver_or_counter=0xFFFFFFFF)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 30490))
for session, entry in enumerate([offer, find, offer], 1):
    message = header.SOMEIPHeader(0xFFFF, 0x8100, 0, session, 1, header.SOMEIPMessageType.NOTIFICATION, return_code=header.SOMEIPReturnCode.E_OK,
                                  payload=header.SOMEIPSDHeader(entries=(entry,), flag_reboot=True).assign_option_indexes().build())
    s.sendto(message.build(), (sys.argv[2], 30490))
s.close()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for session in range(1, 5):
    s.sendto(header.SOMEIPHeader(0x1234, 0x21, 7, session, 1, header.SOMEIPMessageType.REQUEST, return_code=header.SOMEIPReturnCode.E_OK,
                                 payload=b"\x01\x02" * session).build(), (sys.argv[2], 30509))
