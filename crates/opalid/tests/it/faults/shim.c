/* Logs, in order and with content, what a process writes to the files of one folder, so that a test can play it
   back as far as a power cut. SHIM_FOLDER: the folder. SHIM_LOG: the log. While SHIM_FAIL exists, the next sync of
   a -wal file fails with EIO (and the file goes away). While SHIM_HOLD exists, such a sync does not end. While SHIM_FULL
   exists, writes that make a file longer fail with ENOSPC, and so does the log (stderr). While SHIM_UNREADABLE exists,
   reads fail with EIO. With SHIM_DROP_WAL_SYNC, syncs of -wal files are not logged, which is what synchronous=NORMAL
   amounts to between checkpoints.

   A record: kind 1, path length 2, offset 8, data length 4 (little endian), path, data. Kinds: W write,
   T truncate (offset is the length), S synced, F sync failed, U unlinked, R renamed (data is the new path). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

static int inside(const char *path) {
  const char *folder = getenv("SHIM_FOLDER");
  return folder && getenv("SHIM_LOG") && !strncmp(path, folder, strlen(folder)) && !strstr(path, "-shm");
}

static int path_of(int fd, char *path) {
  char link[64];
  int saved = errno;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  errno = saved;
  if (length <= 0) return 0;
  path[length] = 0;
  return path[0] == '/' && inside(path);
}

static int is_wal(const char *path) {
  size_t length = strlen(path);
  return length > 4 && !strcmp(path + length - 4, "-wal");
}

static int asked(const char *variable) {
  const char *file = getenv(variable);
  return file && !access(file, F_OK);
}

/* The lock is held, so that the log has the order of what happened. */
static void record(char kind, const char *path, uint64_t offset, const void *data, uint32_t length) {
  int saved = errno;
  if (log_fd < 0) log_fd = open(getenv("SHIM_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  char head[15];
  uint16_t path_length = strlen(path);
  head[0] = kind;
  memcpy(head + 1, &path_length, 2);
  memcpy(head + 3, &offset, 8);
  memcpy(head + 11, &length, 4);
  struct iovec parts[] = {{head, sizeof head}, {(void *)path, path_length}, {(void *)data, length}};
  ssize_t all = sizeof head + path_length + length;
  if (writev(log_fd, parts, 3) != all) abort();
  errno = saved;
}

static int full(const char *path, int fd, off_t end) {
  struct stat now;
  (void)path;
  return asked("SHIM_FULL") && !fstat(fd, &now) && end > now.st_size;
}

static ssize_t write_at(int fd, const void *data, size_t size, off_t offset, int moves) {
  char path[PATH_MAX];
  if (fd == STDERR_FILENO && asked("SHIM_FULL")) {
    errno = ENOSPC; /* the log lies on the same disk */
    return -1;
  }
  if (!path_of(fd, path)) return moves ? REAL(write)(fd, data, size) : REAL(pwrite64)(fd, data, size, offset);
  pthread_mutex_lock(&lock);
  if (moves) offset = lseek(fd, 0, SEEK_CUR);
  ssize_t done;
  if (full(path, fd, offset + (off_t)size)) {
    errno = ENOSPC;
    done = -1;
  } else {
    done = moves ? REAL(write)(fd, data, size) : REAL(pwrite64)(fd, data, size, offset);
    if (done > 0) record('W', path, offset, data, done);
  }
  pthread_mutex_unlock(&lock);
  return done;
}

ssize_t write(int fd, const void *data, size_t size) { return write_at(fd, data, size, 0, 1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return write_at(fd, data, size, at, 0); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return write_at(fd, data, size, at, 0); }

static int unreadable(int fd) {
  char path[PATH_MAX];
  if (!asked("SHIM_UNREADABLE") || !path_of(fd, path)) return 0;
  errno = EIO;
  return 1;
}

ssize_t read(int fd, void *data, size_t size) { return unreadable(fd) ? -1 : REAL(read)(fd, data, size); }
ssize_t pread(int fd, void *data, size_t size, off_t at) { return unreadable(fd) ? -1 : REAL(pread)(fd, data, size, at); }
ssize_t pread64(int fd, void *data, size_t size, off64_t at) {
  return unreadable(fd) ? -1 : REAL(pread64)(fd, data, size, at);
}

static int sync_by(int fd, int (*really)(int)) {
  char path[PATH_MAX];
  if (!path_of(fd, path)) return really(fd);
  while (is_wal(path) && asked("SHIM_HOLD")) usleep(1000);
  pthread_mutex_lock(&lock);
  int done;
  if (is_wal(path) && asked("SHIM_FAIL")) {
    REAL(unlink)(getenv("SHIM_FAIL"));
    record('F', path, 0, "", 0);
    errno = EIO;
    done = -1;
  } else {
    done = 0; /* nothing of the machine's own disk is tested */
    if (!(is_wal(path) && getenv("SHIM_DROP_WAL_SYNC"))) record('S', path, 0, "", 0);
  }
  pthread_mutex_unlock(&lock);
  return done;
}

int fsync(int fd) { return sync_by(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_by(fd, REAL(fdatasync)); }

static int truncate_to(int fd, off_t length) {
  char path[PATH_MAX];
  if (!path_of(fd, path)) return REAL(ftruncate64)(fd, length);
  pthread_mutex_lock(&lock);
  int done = REAL(ftruncate64)(fd, length);
  if (!done) record('T', path, length, "", 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int ftruncate(int fd, off_t length) { return truncate_to(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncate_to(fd, length); }

int unlink(const char *path) {
  if (!inside(path)) return REAL(unlink)(path);
  pthread_mutex_lock(&lock);
  int done = REAL(unlink)(path);
  if (!done) record('U', path, 0, "", 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int rename(const char *from, const char *to) {
  if (!inside(from)) return REAL(rename)(from, to);
  pthread_mutex_lock(&lock);
  int done = REAL(rename)(from, to);
  if (!done) record('R', from, 0, to, strlen(to));
  pthread_mutex_unlock(&lock);
  return done;
}
