from synchrophasor.frame import ConfigFrame2
from synchrophasor.pmu import Pmu

pmu = Pmu(ip="0.0.0.0", port=4712)
pmu.set_configuration(ConfigFrame2(7, 1000000, 1, "Lab", 7, (False, False, True, False), 2, 1, 1, ["VA", "VB", "A1"] + [f"D{i}" for i in range(16)],
                                   [(915527, "v"), (915527, "v")], [(1, "pow")], [(0x0000, 0xFFFF)], 50, 22, 10))
pmu.set_header("Lab")
pmu.run()
while True:
    if pmu.clients:
        pmu.send_data(phasors=[(14635, 0), (-7318, -12676)], analog=[9.9], digital=[0x0001])
