#include <pushforward/core/digest.hpp>
#include <pushforward/core/error.hpp>

#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace pushforward {

namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    require<BugError>(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
                      "SHA-256 is not available");
  }

  void add(std::span<const std::byte> bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }

  std::string text() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &length);
    std::string text;
    for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

std::string digest(std::span<const std::byte> bytes) {
  Sha256 sum;
  sum.add(bytes);
  return sum.text();
}

std::string file_digest(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  require<IoError>(file != nullptr, "cannot open {}: {}", path, std::strerror(errno));
  Sha256 sum;
  std::vector<std::byte> buffer(1 << 20);
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    sum.add(std::span(buffer).first(count));
  }
  require<IoError>(std::ferror(file.get()) == 0, "cannot read {}: {}", path, std::strerror(errno));
  return sum.text();
}

}  // namespace pushforward
