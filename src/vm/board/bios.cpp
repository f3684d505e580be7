#include "vm/board/bios.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/system.h"

namespace godwit::vm {

Result<std::vector<std::byte>> read_bios(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return system_error("cannot open the BIOS image '" + path + "'", errno);
  struct stat about{};
  if (::fstat(file.get(), &about) < 0)
    return system_error("cannot read the BIOS image '" + path + "'", errno);
  const auto size = static_cast<std::uint64_t>(about.st_size);
  if (!S_ISREG(about.st_mode) || size == 0 || size % bios_granule != 0 || size > most_bios)
    return fail("the BIOS image '{}' has {} bytes; a multiple of {} up to {} is needed", path, size,
                bios_granule, most_bios);
  std::vector<std::byte> image(size);
  for (std::size_t done = 0; done < image.size();) {
    const ssize_t got =
        ::pread(file.get(), image.data() + done, image.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("cannot read the BIOS image '" + path + "'", errno);
    if (got == 0) return fail("the BIOS image '{}' became shorter while it was read", path);
    done += static_cast<std::size_t>(got);
  }
  return image;
}

}  // namespace godwit::vm
