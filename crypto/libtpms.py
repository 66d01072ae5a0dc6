#!/usr/bin/env python3
# crypto/libtpms.py - make one object of Debian's libtpms.a, and judge it.
#
#     libtpms.a -> members of TPM 2.0 -> less those that we replace
#               -> what our entry points need (ld -r)
#               -> C library names become libc_ names, everything else that
#                  libtpms defines becomes private (objcopy)
#               -> libtpms.o, and a record of what it was made of
#
# The promise: the object imports only names that are listed here. An archive
# that wants one more, as a newer libtpms may, is refused and the name is shown;
# so is one that has lost a name that we rely on.
#
# crypto/SConscript runs it for each variant:
#
#     crypto/libtpms.py ARCHIVE OBJECT RECORD
#
# Nothing of the archive is committed: it is Debian's (libtpms-dev, BSD).
import hashlib
import os
import re
import subprocess
import sys
import tempfile

# TPM 2.0 and what both versions share. TPM 1.2 is libtpms_tpm12_la-*: it is
# reached only through TPM12Interface, which handlers/tpm_platform.c defines.
MEMBERS = ("libtpms_la-", "libtpms_tpm2_la-")

# What the house calls (handlers/tpm.c).
ENTRIES = """
TPMLIB_ChooseTPMVersion TPMLIB_GetInfo TPMLIB_GetState TPMLIB_MainInit
TPMLIB_Process TPMLIB_RegisterCallbacks TPMLIB_SetBufferSize TPMLIB_SetState
TPMLIB_Terminate
TPM_IO_Hash_Data TPM_IO_Hash_End TPM_IO_Hash_Start
TPM_IO_TpmEstablished_Get TPM_IO_TpmEstablished_Reset
""".split()

# Members that the house replaces, with the names that it then provides
# (handlers/tpm_platform.c): the clock and entropy are the platform's; failing
# needs no setjmp of a C library's; the cancel flag is set by other CPUs; and
# ExpDCache would keep private keys after they were flushed.
REPLACED = {
    "libtpms_tpm2_la-Cancel.o":
        "_plat__IsCanceled _plat__SetCancel _plat__ClearCancel",
    "libtpms_tpm2_la-Clock.o":
        "ClockAdjustPostResume ClockGetTime _plat__ClockAdjustRate"
        " _plat__RealTime _plat__TimerRead _plat__TimerReset"
        " _plat__TimerWasReset _plat__TimerWasStopped",
    "libtpms_tpm2_la-Entropy.o": "_plat__GetEntropy",
    "libtpms_tpm2_la-ExpDCache.o": "ExpDCacheAdd ExpDCacheFind ExpDCacheFree",
    "libtpms_tpm2_la-RunCommand.o": "_plat__RunCommand _plat__Fail",
}

# What the replacements work on or call, and stays visible for them.
SHARED = """
ExecuteCommand s_adjustRate s_hostMonotonicAdjustTime
s_lastReportedTime s_lastSystemTime s_realTimePrevious s_suspendedElapsedTime
s_timerReset s_timerStopped s_tpmTime
""".split()

# C library names, and what they are called here (crypto/libcrypto/libc.c).
LIBC = {n: "libc_" + re.sub("^_+", "", n) for n in """
__asprintf_chk __assert_fail __ctype_b_loc __dprintf_chk __errno_location
__memcpy_chk __memset_chk __snprintf_chk __stack_chk_fail __vdprintf_chk
__vsnprintf_chk fclose fflush fopen fread free fseek ftell fwrite getenv malloc
realloc remove stderr strcmp strdup strerror strstr
""".split()}

# The few that a compiler may call anyway and every world has (runtime/base.h).
COMPILER = "memcmp memcpy memmove memset strlen".split()

# libcrypto's functions, which crypto/libcrypto/ provides.
LIBCRYPTO = """
AES_encrypt AES_set_encrypt_key BIO_f_base64 BIO_free BIO_free_all BIO_new
BIO_new_mem_buf BIO_push BIO_read BIO_set_flags BN_CTX_end BN_CTX_free
BN_CTX_get BN_CTX_new BN_CTX_start BN_add_word BN_bin2bn BN_bn2bin
BN_clear_free BN_copy BN_div BN_dup BN_free BN_is_zero BN_mod_exp
BN_mod_inverse BN_mul BN_new BN_num_bits BN_set_flags BN_set_word BN_sub
Camellia_encrypt Camellia_set_key DES_ecb3_encrypt DES_random_key
DES_set_key_unchecked ECDSA_SIG_free ECDSA_SIG_get0 ECDSA_SIG_new
ECDSA_SIG_set0 ECDSA_do_sign ECDSA_do_verify EC_GROUP_free
EC_GROUP_new_curve_GFp EC_GROUP_set_generator EC_KEY_free EC_KEY_generate_key
EC_KEY_get0_private_key EC_KEY_new EC_KEY_set_group EC_KEY_set_private_key
EC_KEY_set_public_key EC_POINT_add EC_POINT_clear_free EC_POINT_free
EC_POINT_get_affine_coordinates EC_POINT_mul EC_POINT_new
EC_POINT_set_affine_coordinates EC_POINTs_mul EVP_CIPHER_CTX_free
EVP_CIPHER_CTX_get_iv_length EVP_CIPHER_CTX_iv EVP_CIPHER_CTX_new
EVP_CIPHER_CTX_set_padding EVP_DecryptFinal EVP_DecryptInit_ex
EVP_DecryptUpdate EVP_EncryptFinal_ex EVP_EncryptInit_ex EVP_EncryptUpdate
EVP_MD_get_size EVP_PKEY_CTX_free EVP_PKEY_CTX_new
EVP_PKEY_CTX_set0_rsa_oaep_label EVP_PKEY_CTX_set_rsa_oaep_md
EVP_PKEY_CTX_set_rsa_padding EVP_PKEY_CTX_set_rsa_pss_saltlen
EVP_PKEY_CTX_set_signature_md EVP_PKEY_assign EVP_PKEY_decrypt
EVP_PKEY_decrypt_init EVP_PKEY_encrypt EVP_PKEY_encrypt_init EVP_PKEY_free
EVP_PKEY_get1_RSA EVP_PKEY_new EVP_PKEY_sign EVP_PKEY_sign_init
EVP_PKEY_verify EVP_PKEY_verify_init
EVP_aes_128_cbc EVP_aes_128_cfb128 EVP_aes_128_ctr EVP_aes_128_ecb
EVP_aes_128_ofb EVP_aes_192_cbc EVP_aes_192_cfb128 EVP_aes_192_ctr
EVP_aes_192_ecb EVP_aes_192_ofb EVP_aes_256_cbc EVP_aes_256_cfb128
EVP_aes_256_ctr EVP_aes_256_ecb EVP_aes_256_ofb EVP_camellia_128_cbc
EVP_camellia_128_cfb128 EVP_camellia_128_ctr EVP_camellia_128_ecb
EVP_camellia_128_ofb EVP_camellia_192_cbc EVP_camellia_192_cfb128
EVP_camellia_192_ctr EVP_camellia_192_ecb EVP_camellia_192_ofb
EVP_camellia_256_cbc EVP_camellia_256_cfb128 EVP_camellia_256_ctr
EVP_camellia_256_ecb EVP_camellia_256_ofb EVP_des_ede3 EVP_des_ede3_cbc
EVP_des_ede3_cfb64 EVP_des_ede3_ecb EVP_des_ede3_ofb
EVP_get_digestbyname RSA_free RSA_generate_key_ex RSA_get0_factors
RSA_get0_key RSA_new RSA_set0_crt_params RSA_set0_key RSA_set_flags
SHA1_Final SHA1_Init SHA1_Update SHA256_Final SHA256_Init SHA256_Update
SHA384_Final SHA384_Init SHA384_Update SHA512_Final SHA512_Init SHA512_Update
""".split()

# Data of ours, and what the linker makes itself.
OTHERS = ["TPM12Interface", "_GLOBAL_OFFSET_TABLE_"]


class Refused(Exception):
    """The archive is not what this build knows."""


def tool(*argv):
    """Run a binutils program; its words are the reason when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused("%s: %s" % (argv[0], done.stderr.strip()))
    return done.stdout


def symbols(path, undefined):
    """Names that `path` imports, or that it defines for others."""
    which = "--undefined-only" if undefined else "--defined-only"
    out = tool("nm", "-P", "-g", which, path)
    return {line.split()[0] for line in out.splitlines() if " " in line}


def debian_version(archive):
    """Package and version that the archive comes from, if dpkg knows."""
    try:
        owner = tool("dpkg", "-S", os.path.realpath(archive)).split(":")[0]
        return owner, tool("dpkg-query", "-W", "-f=${Version}", owner)
    except (Refused, OSError):
        return "unknown", "unknown"


def unpack(archive, room):
    """The members that matter, in the archive's order."""
    names = tool("ar", "t", archive).split()
    wanted = [n for n in names if n.startswith(MEMBERS)]
    missing = sorted(set(REPLACED) - set(wanted))
    if missing:
        raise Refused("no member %s to replace" % ", ".join(missing))
    tool("ar", "x", "--output", room, archive, *wanted)
    return [os.path.join(room, n) for n in wanted]


def check_replaced(members):
    """What a dropped member offered and others use must be known to us."""
    kept = [m for m in members if os.path.basename(m) not in REPLACED]
    used = set().union(*(symbols(m, undefined=True) for m in kept))
    for member in set(members) - set(kept):
        known = set(REPLACED[os.path.basename(member)].split())
        lost = (symbols(member, undefined=False) & used) - known
        if lost:
            raise Refused("nobody would provide %s of %s" % (
                ", ".join(sorted(lost)), os.path.basename(member)))
    return kept


def provided():
    return [n for names in REPLACED.values() for n in names.split()]


def check_imports(obj):
    known = set(LIBCRYPTO + COMPILER + OTHERS + provided())
    known |= set(LIBC.values())
    strangers = symbols(obj, undefined=True) - known
    if strangers:
        raise Refused("unknown import %s: provide it in crypto/libcrypto/ and"
                      " list it in crypto/libtpms.py" % ", ".join(
                          sorted(strangers)))


def check_exports(obj):
    lost = set(ENTRIES + SHARED) - symbols(obj, undefined=False)
    if lost:
        raise Refused("%s not found" % ", ".join(sorted(lost)))


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def write_record(archive, obj, record, members):
    package, version = debian_version(archive)
    with open(record, "w") as out:
        out.write("archive %s\n" % archive)
        out.write("package %s %s\n" % (package, version))
        out.write("sha256 %s\n" % sha256(archive))
        out.write("object sha256 %s\n" % sha256(obj))
        out.write("members %d\n" % len(members))
        out.write("replaced %s\n" % " ".join(sorted(REPLACED)))
        out.write("imports %s\n" % " ".join(
            sorted(symbols(obj, undefined=True))))


def lines(room, name, words):
    path = os.path.join(room, name)
    with open(path, "w") as out:
        out.write("\n".join(words) + "\n")
    return path


def build(archive, obj, record):
    with tempfile.TemporaryDirectory() as room:
        kept = check_replaced(unpack(archive, room))
        small = os.path.join(room, "small.a")
        joined = os.path.join(room, "joined.o")
        tool("ar", "Dcr", small, *kept)
        wanted = [w for n in ENTRIES + SHARED for w in ("-u", n)]
        tool("ld", "-r", "-o", joined, *wanted, small)
        renames = ["%s %s" % pair for pair in sorted(LIBC.items())]
        tool("objcopy",
             "--redefine-syms", lines(room, "renames", renames),
             "--keep-global-symbols",
             lines(room, "globals", ENTRIES + SHARED), joined, obj)
        check_imports(obj)
        check_exports(obj)
        write_record(archive, obj, record, kept)


def main(argv):
    if len(argv) != 4:
        sys.stderr.write("usage: libtpms.py ARCHIVE OBJECT RECORD\n")
        return 2
    try:
        build(*argv[1:])
    except Refused as why:
        sys.stderr.write("libtpms.a is not as expected: %s\n" % why)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
