"""The object store keeps what it was given through the faults of the side effects, in no clear text, and nowhere else
than where it belongs."""

from __future__ import annotations

import json

import pytest
from scenario import resource_types_converge

proxy = pytest.mark.of("swift_proxy")
storage = pytest.mark.of("swift_storage")


def variables(host):
    return host.ansible.get_variables()


def asked(host, method, address, path):
    """The status with which the object server of a storage node answers it."""
    script = (
        "import http.client, sys, time\n"
        "method, address, path = sys.argv[1:]\n"
        "c = http.client.HTTPConnection(address, 6200, timeout=30)\n"
        "c.request(method, path, b'x', {'X-Timestamp': f'{time.time():.5f}', 'Content-Type': 'a/b'})\n"
        "print(c.getresponse().status)\n"
    )
    return host.check_output("python3 -c %s %s %s %s", script, method, address, f"/{path}")


# A client of S3 that is none of the object store's; the login of the administrator on its standard input.
S3 = """
import boto3, botocore, json, secrets, urllib.request
login = json.load(open("/run/objects-login.json"))
def ask(path, body, **headers):
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(login["auth_url"] + path, json.dumps(body).encode(), headers)
    answer = urllib.request.urlopen(request)
    return json.load(answer), answer.headers
domain = {"name": "Default"}
user = {"name": login["username"], "domain": domain, "password": login["password"]}
scope = {"project": {"name": login["project_name"], "domain": domain}}
auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
told, headers = ask("/auth/tokens", {"auth": auth})
token, about = headers["X-Subject-Token"], told["token"]
place = f"/users/{about['user']['id']}/credentials/OS-EC2"
key = ask(place, {"tenant_id": about["project"]["id"]}, **{"X-Auth-Token": token})[0]["credential"]
ends = [one for one in about["catalog"] if one["type"] == "object-store"][0]["endpoints"]
proxy = [one["url"] for one in ends if one["interface"] == "public"][0].split("/v1/")[0]
config = botocore.config.Config(
    s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
    response_checksum_validation="when_required", retries={"max_attempts": 1})
def client(secret):
    return boto3.client("s3", endpoint_url=proxy, region_name="RegionOne", config=config,
                        aws_access_key_id=key["access"], aws_secret_access_key=secret)
s3, part = client(key["secret"]), bytes(range(256)) * 20480
bucket = "scenario-" + secrets.token_hex(4)
s3.create_bucket(Bucket=bucket)
s3.put_object(Bucket=bucket, Key="a/one", Body=b"by S3", Metadata={"colour": "blue"})
one = s3.get_object(Bucket=bucket, Key="a/one")
upload = s3.create_multipart_upload(Bucket=bucket, Key="large")["UploadId"]
where = {"Bucket": bucket, "Key": "large", "UploadId": upload}
tags = [s3.upload_part(PartNumber=n, Body=part, **where)["ETag"] for n in (1, 2)]
parts = {"Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]}
s3.complete_multipart_upload(MultipartUpload=parts, **where)
large = s3.get_object(Bucket=bucket, Key="large", Range="bytes=5242870-5242889")["Body"].read()
listed = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
lent = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/one"}, ExpiresIn=60)
refused = ""
try:
    client("wrong").get_object(Bucket=bucket, Key="a/one")
except botocore.exceptions.ClientError as error:
    refused = error.response["Error"]["Code"]
print(json.dumps([one["Body"].read().decode(), one["Metadata"], large == (part * 2)[5242870:5242890], listed,
                  urllib.request.urlopen(lent).read().decode(), refused]))
"""
MARK = "clear text of "


@proxy
def test_s3_is_spoken_with_a_client_of_others(host):
    said = json.loads(host.check_output("python3 -c %s", S3))
    assert said == ["by S3", {"colour": "blue"}, True, ["a/one", "large"], "by S3", "SignatureDoesNotMatch"]


@storage
def test_what_lies_on_disks_is_encrypted(host):
    """Every object that the side effects put begins with a text."""
    assert int(host.check_output("find /srv/node -name '*.data' -size +1k | wc -l")) > 500
    assert host.run("grep -rlaF %s /srv/node", MARK).stdout == ""


@proxy
def test_the_root_secret_is_readable_for_the_proxy_alone(host):
    for name in ("keymaster", "proxy-server", "dispersion", "swift"):
        file = host.file(f"/etc/swift/{name}.conf")
        assert (file.user, file.group, file.mode) == ("root", "swift", 0o640)


@storage
def test_copies_travel_on_the_network_for_them_alone(host):
    own = variables(host)
    listening = host.check_output("ss -H -l -t -n 'sport = :873 or sport = :6200'").splitlines()
    assert sorted(line.split()[3] for line in listening) == sorted(
        [
            f"{own['lab_management_address']}:6200",
            f"{own['lab_tunnel_address']}:6200",
            f"{own['lab_tunnel_address']}:873",
        ]
    )
    # the server of proxies does not replicate
    answers = [asked(host, "REPLICATE", own[name], "d1/1") for name in ("lab_management_address", "lab_tunnel_address")]
    assert answers == ["405", "200"]


@proxy
def test_all_objects_are_still_what_they_were(host):
    answer = json.loads(host.check_output("OBJECTS_LOGIN=/run/objects-login.json python3 /var/tmp/objects.py check"))
    assert answer["failed"] == [] and answer["done"] == 2 * (500 + 50 + 100 + 50)


@pytest.mark.of("object1")
def test_the_auditor_took_a_corrupted_object_away_and_replication_brought_it_back(host):
    path = host.check_output("cat /var/tmp/corrupted")
    name = path.split("/")[-2]
    assert host.run(f"find /srv/node/*/quarantined/objects -name '{name}*' | grep -q .").rc == 0
    # every copy was waited for in the side effects
    host.check_output(f"ls /srv/node/*/objects/*/*/{name}/*.data")


@pytest.mark.of("object4")
def test_a_missing_disk_takes_nothing_until_it_is_mounted_again(host):
    # the side effects took it away; a further run of this test does so itself
    host.run("umount --lazy /srv/node/d2")
    address = variables(host)["lab_management_address"]
    below = host.file("/srv/node/d2")
    assert (below.user, below.mode) == ("root", 0o755)
    assert host.run("runuser -u swift -- mkdir /srv/node/d2/objects").rc != 0
    assert asked(host, "PUT", address, "d2/1/a/c/o") == "507"
    # the disk that is there is written to
    assert asked(host, "PUT", address, "d1/1/a/c/o") == "201"
    host.check_output("systemctl restart stackwright-swift-devices")
    assert host.mount_point("/srv/node/d2").exists and host.file("/srv/node/d2").user == "swift"
    assert asked(host, "PUT", address, "d2/1/a/c/o") == "201"


@pytest.mark.of("object3")
def test_the_drained_device_holds_nothing_in_the_rings_and_gets_empty(host):
    script = (
        "from swift.common.ring import Ring\n"
        "for name in ('account', 'container', 'object', 'object-1'):\n"
        "    ring = Ring('/etc/swift', ring_name=name)\n"
        "    print({(d['meta'], d['weight']) for d in ring.devs if d and d['meta'] == 'object3/d2'},\n"
        "          sum(1 for row in ring._replica2part2dev_id for n in row if ring.devs[n]['meta'] == 'object3/d2'))\n"
    )
    assert host.check_output("python3 -c %s", script).splitlines() == ["{('object3/d2', 0.0)} 0"] * 4
    until_empty = 'until test -z "$(find /srv/node/d2 -name "*.data" -o -name "*.db")"; do sleep 2; done'
    host.check_output("timeout 600 sh -c %s", until_empty)


@proxy
def test_containers_and_objects_are_resource_types_that_converge(host):
    told = resource_types_converge("swift")
    assert "left out, the catalogue does not offer it: object-store" not in told
