import sys

from synchrophasor.pdc import Pdc

for i in range(2):
    pdc = Pdc(pdc_id=7, pmu_ip=sys.argv[1], pmu_port=4712)
    pdc.run()
    if i == 0:
        pdc.get_header()
    pdc.get_config()
    pdc.start()
    for _ in range(5):
        pdc.get()
    pdc.stop()
    pdc.quit()
