"""Writes a MISP feed with PyMISP: manifest.json, hashes.csv and an event a file.

Usage: mispfeed.py DIR FIRST LAST STAMP. Prints what the events hold, one JSON object a line."""
import hashlib
import json
import os
import sys
import uuid

from pymisp import MISPEvent, MISPObject, MISPOrganisation

folder, first, last, stamp = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])


def digest(kind, text):
    return getattr(hashlib, kind)(text.encode()).hexdigest()


def event(i):
    e = MISPEvent()
    e.uuid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://misp.example/{i}"))
    e.info, e.distribution, e.threat_level_id, e.analysis, e.published = f"Campaign {i}", 3, 2, 2, True
    e.set_date("2026-02-%02d" % (1 + i % 28))
    e.timestamp = e.publish_timestamp = stamp + i
    org = MISPOrganisation()
    org.name, org.uuid = "CSIRT", "5a3c1c5e-0b1c-4d2e-8f3a-1b2c3d4e5f60"
    e.Orgc = org
    e.add_tag("tlp:green")
    e.add_tag('misp-galaxy:malpedia="Emotet"')
    for j, (kind, value, to_ids) in enumerate([
        ("domain", f"d{i}.example", True), ("hostname", f"www.d{i}.example", True), ("ip-dst", f"203.0.113.{i}", True),
        ("ip-dst|port", f"198.51.100.{i}|8443", True), ("url", f"http://d{i}.example/gate", True), ("email-src", f"a{i}@d{i}.example", False),
        ("sha256", digest("sha256", f"a{i}"), True), ("filename|md5", f"f{i}.exe|{digest('md5', f'b{i}')}", True),
        ("link", f"https://report.example/{i}", False), ("comment", "seen in mail", False),
    ]):
        e.add_attribute(kind, value, to_ids=to_ids, comment=f"no {j}")
    o = MISPObject("file")
    o.add_attribute("filename", value=f"g{i}.exe")
    o.add_attribute("sha1", value=digest("sha1", f"c{i}"))
    o.add_attribute("sha512", value=digest("sha512", f"d{i}"))
    e.add_object(o)
    return e


manifest, hashes = {}, []
if os.path.exists(os.path.join(folder, "manifest.json")):
    with open(os.path.join(folder, "manifest.json")) as f:
        manifest = json.load(f)
for i in range(first, last + 1):
    e = event(i)
    feed = e.to_feed(with_meta=True)
    hashes += [(h, e.uuid) for h in feed["Event"].pop("_hashes")]
    manifest.update(feed["Event"].pop("_manifest"))
    with open(os.path.join(folder, e.uuid + ".json"), "w") as f:
        json.dump(feed, f)
    for a in e.attributes + [a for o in e.objects for a in o.attributes]:
        print(json.dumps({"event": e.uuid, "type": a.type, "value": a.value}))
with open(os.path.join(folder, "manifest.json"), "w") as f:
    json.dump(manifest, f)
with open(os.path.join(folder, "hashes.csv"), "a") as f:
    f.writelines(f"{h},{u}\n" for h, u in hashes)
