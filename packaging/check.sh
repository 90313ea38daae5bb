# Runs inside the fresh system: a vendor and a device, with the installed package alone.
mkdir -p /srv/app/engine /srv/fixed
echo "old" >/srv/app/engine/main.txt
seq 1 20000 >/srv/app/engine/data.txt
cp -r /srv/app/engine/. /srv/fixed/
echo "new" >/srv/fixed/main.txt
sed -i 's/^777$/seven/' /srv/fixed/data.txt
cp /bin/ls /srv/app/engine/tool
cp /bin/cat /srv/fixed/tool
cat >/srv/advisory.toml <<END
title = "A security update"
[[fix]]
cves = ["CVE-2023-4863"]
component = "engine"
impact = "Opening a picture may run an attacker's code"
description = "A buffer overflow was addressed."
END
repository=/srv/repository
repoint repository init $repository --no-passphrase
repoint baseline add kiosk --version 1.0 --build 1A1 --component engine=/srv/app/engine --no-passphrase \
    --repository $repository
repoint serve --port 8765 --repository $repository >/srv/serve.log 2>&1 &
server=$!
trap 'kill $server' EXIT
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    grep -q http /srv/serve.log && break
    sleep 1
done
repoint enroll http://127.0.0.1:8765/ --product kiosk --root $repository/public/metadata/1.root.json \
    --graft engine=/srv/app/engine
repoint improve kiosk --version 1.0 --component engine=/srv/fixed --advisory /srv/advisory.toml \
    --repository $repository
repoint publish kiosk --repository $repository
repoint check
repoint install
repoint restart --yes
[ "$(cat /srv/app/engine/main.txt)" = new ]
repoint launch true
repoint status
repoint --help >/dev/null
repoint settings --help >/dev/null
# The page, with Debian's own Starlette, Babel, argon2 and PAM.
/usr/lib/repoint/bin/python -I - <<END
import argon2, pam
import importlib, pkgutil, repoint.page
for module in pkgutil.walk_packages(repoint.page.__path__, "repoint.page."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
hasher = argon2.PasswordHasher()
assert hasher.verify(hasher.hash("passcode"), "passcode")
pam.pam()
import numpy, cryptography, click
assert numpy.__file__.startswith("/usr/lib/python3/dist-packages/"), numpy.__file__
assert cryptography.__file__.startswith("/usr/lib/repoint/"), cryptography.__file__
END
mkdir -p /etc/repoint/policy.d
echo >/etc/repoint/policy.d/site.conf
