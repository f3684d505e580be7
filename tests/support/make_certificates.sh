#!/bin/sh
# Makes the keys and certificates that the TLS tests use, one folder for each party, as `dir` of a credentials object:
#
#   make_certificates.sh DIR
#
#   server     for "localhost" and 127.0.0.1         client     O=Godwit,CN=mover
#   other      for another name                      stranger   signed by a CA that nobody here knows
#   expired    ended yesterday                       nameless   a client's folder without a certificate
#   psk        a key for user "qemu"                 wrong-psk  another key for the same user
set -eu
dir=$1
mkdir -p "$dir"
cd "$dir"

authority() { # NAME
  certtool --generate-privkey --key-type=ecdsa --outfile "$1-key.pem" 2> /dev/null
  printf 'cn = "%s"\nca\ncert_signing_key\nexpiration_days = 30\n' "$1" > "$1.info"
  certtool --generate-self-signed --load-privkey "$1-key.pem" --template "$1.info" --outfile "$1.pem" 2> /dev/null
}

party() { # FOLDER server|client AUTHORITY TEMPLATE-LINE...
  folder=$1 role=$2 signer=$3
  shift 3
  mkdir -p "$folder"
  certtool --generate-privkey --key-type=ecdsa --outfile "$folder/$role-key.pem" 2> /dev/null
  { printf 'tls_www_%s\nsigning_key\n' "$role"; printf '%s\n' "$@"; } > "$folder.info"
  certtool --generate-certificate --load-privkey "$folder/$role-key.pem" --load-ca-certificate "$signer.pem" \
    --load-ca-privkey "$signer-key.pem" --template "$folder.info" --outfile "$folder/$role-cert.pem" 2> /dev/null
  cp authority.pem "$folder/ca-cert.pem"
}

authority authority
authority unknown
party server server authority 'cn = "localhost"' 'dns_name = "localhost"' 'ip_address = "127.0.0.1"' 'expiration_days = 30'
party other server authority 'cn = "elsewhere"' 'dns_name = "elsewhere"' 'expiration_days = 30'
party expired server authority 'cn = "localhost"' 'dns_name = "localhost"' \
  "activation_date = \"$(date -d '-3 days' '+%Y-%m-%d %H:%M:%S')\"" \
  "expiration_date = \"$(date -d '-1 day' '+%Y-%m-%d %H:%M:%S')\""
party client client authority 'cn = "mover"' 'organization = "Godwit"' 'expiration_days = 30'
party stranger client unknown 'cn = "mover"' 'organization = "Godwit"' 'expiration_days = 30'
mkdir -p nameless psk wrong-psk
cp authority.pem nameless/ca-cert.pem
echo 'qemu:2b7e151628aed2a6abf7158809cf4f3c' > psk/keys.psk
echo 'qemu:000102030405060708090a0b0c0d0e0f' > wrong-psk/keys.psk
