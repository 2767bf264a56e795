#include "trust/gpg_context.h"

#include "core/base/error.h"

namespace actool::trust {
namespace {

// gpg reads options as lines of gpg.conf. Every line here is about not leaving the process
// or about not asking anybody.
constexpr std::string_view kGpgConf =
    "no-autostart\n"          // never starts an agent or a keyboxd
    "disable-dirmngr\n"       // never the network
    "no-auto-key-retrieve\n"  // no keys from where a signature says
    "no-auto-key-locate\n"    // no keys by mail address
    "no-auto-key-import\n"    // no keys out of signatures
    "trust-model always\n"    // which keys are trusted is the keystore's answer
    "no-auto-check-trustdb\n"
    "require-cross-certification\n"  // a subkey must say itself that it belongs to the key
    "no-random-seed-file\n"
    "lock-never\n"  // the home has one writer, and no lock file may stay behind
    "batch\n"
    "no-tty\n"
    "no-greeting\n"
    "quiet\n";

// gpgme_check_version() sets the library up and must come first, once, before threads use it.
void initialise() {
  static const bool done = [] {
    // It would run gpgconf three times to ask where gpg and its daemons are; gpg is found by
    // PATH like any program, and the daemons are not used.
    if (gpgme_set_global_flag("disable-gpgconf", "1") != 0) {
      throw Error("gpgme can't be told to leave gpgconf alone");
    }
    // Older ones may pass data on differently; see openpgp_session.h.
    if (gpgme_check_version("1.18.0") == nullptr) {
      throw Error("gpgme is older than 1.18", "install libgpgme11 of Debian 12 or later");
    }
    const gpgme_error_t error = gpgme_engine_check_version(GPGME_PROTOCOL_OpenPGP);
    if (error != 0) {
      throw Error("no usable gpg: " + errorText(error), "install gpg (Debian: apt install gpg)");
    }
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace

GpgHome::GpgHome() : dir_(tempRoot(), "actool-gpg.") {
  writeFilePlain(dir_.path() / "gpg.conf", kGpgConf, 0600);
}

GpgContext makeContext(const GpgHome& home) {
  initialise();
  gpgme_ctx_t raw = nullptr;
  check(gpgme_new(&raw), "setting up gpgme");
  GpgContext context(raw);
  check(gpgme_set_protocol(raw, GPGME_PROTOCOL_OpenPGP), "choosing OpenPGP");
  check(gpgme_ctx_set_engine_info(raw, GPGME_PROTOCOL_OpenPGP, nullptr, home.path().c_str()),
        "setting gpg's home directory");
  gpgme_set_offline(raw, 1);
  return context;
}

GpgData dataFromMemory(std::string_view bytes) {
  gpgme_data_t raw = nullptr;
  check(gpgme_data_new_from_mem(&raw, bytes.data(), bytes.size(), 0), "passing data to gpgme");
  return GpgData(raw);
}

GpgData emptyData() {
  gpgme_data_t raw = nullptr;
  check(gpgme_data_new(&raw), "passing data to gpgme");
  return GpgData(raw);
}

std::string takeData(GpgData data) {
  std::size_t size = 0;
  char* memory = gpgme_data_release_and_get_mem(data.release(), &size);
  if (memory == nullptr) return {};
  std::string out(memory, size);
  gpgme_free(memory);
  return out;
}

std::string errorText(gpgme_error_t error) {
  char buffer[256] = {};
  gpgme_strerror_r(error, buffer, sizeof buffer);
  buffer[sizeof buffer - 1] = '\0';
  return buffer;
}

void check(gpgme_error_t error, std::string_view attempt) {
  if (gpgme_err_code(error) == GPG_ERR_NO_ERROR) return;
  throw Error(std::string(attempt) + ": " + errorText(error));
}

}  // namespace actool::trust
