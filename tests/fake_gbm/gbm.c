/* A libgbm without a GPU: buffers are memfds, maps are linear copies that are
 * written back when they end, as drivers do for tiled buffers. It grants LINEAR and
 * INTEL_X_TILED (laid out linearly: nobody here reads tiles), gives LINEAR
 * where INTEL_4_TILED is asked for, and refuses the rest. Built with -DOLD it
 * is a library from before modifiers. On exit it says what was not given back. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define X_TILED (1ull << 56 | 1)
#define FOUR_TILED (1ull << 56 | 9)
#define USE_LINEAR (1u << 4)

struct gbm_device { int fd; };
struct gbm_bo { struct gbm_device *device; int fd; uint32_t width, height, stride; size_t size; uint64_t modifier; uint8_t *bytes; };
struct map { uint32_t x, y, width, height; uint8_t pixels[]; };

static int alive;

__attribute__((destructor)) static void account(void)
{
    if (alive)
        fprintf(stderr, "fake gbm: %d objects left\n", alive);
}

struct gbm_device *gbm_create_device(int fd)
{
    struct gbm_device *device = calloc(1, sizeof *device);
    device->fd = fd;
    alive++;
    return device;
}

void gbm_device_destroy(struct gbm_device *device) { alive--; free(device); }

static struct gbm_bo *make(struct gbm_device *device, uint32_t width, uint32_t height, uint64_t modifier)
{
    struct gbm_bo *bo = calloc(1, sizeof *bo);
    bo->device = device;
    bo->width = width;
    bo->height = height;
    bo->stride = (width * 4 + 511) / 512 * 512;
    bo->size = (size_t)bo->stride * ((height + 31) / 32 * 32);
    bo->modifier = modifier;
    bo->fd = memfd_create("fake gbm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (bo->fd < 0 || ftruncate(bo->fd, bo->size) < 0)
        abort();
    bo->bytes = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, bo->fd, 0);
    if (bo->bytes == MAP_FAILED)
        abort();
    alive++;
    return bo;
}

struct gbm_bo *gbm_bo_create(struct gbm_device *device, uint32_t width, uint32_t height, uint32_t format, uint32_t flags)
{
    (void)format;
    return make(device, width, height, flags & USE_LINEAR ? 0 : X_TILED);
}

void gbm_bo_destroy(struct gbm_bo *bo)
{
    munmap(bo->bytes, bo->size);
    close(bo->fd);
    alive--;
    free(bo);
}

void *gbm_bo_map(struct gbm_bo *bo, uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t flags, uint32_t *stride, void **data)
{
    if (flags != 2 || *data || x + width > bo->width || y + height > bo->height) {
        errno = EINVAL;
        return NULL;
    }
    struct map *map = malloc(sizeof *map + (size_t)width * 4 * height);
    map->x = x, map->y = y, map->width = width, map->height = height;
    /* What was there is not: who maps for writing writes all of it. */
    memset(map->pixels, 0xee, (size_t)width * 4 * height);
    alive++;
    *stride = width * 4;
    *data = map;
    return map->pixels;
}

void gbm_bo_unmap(struct gbm_bo *bo, void *data)
{
    struct map *map = data;
    for (uint32_t y = 0; y < map->height; y++)
        memcpy(bo->bytes + (size_t)bo->stride * (map->y + y) + map->x * 4, map->pixels + (size_t)map->width * 4 * y, map->width * 4);
    alive--;
    free(map);
}

int gbm_bo_get_fd(struct gbm_bo *bo) { return dup(bo->fd); }
uint32_t gbm_bo_get_stride(struct gbm_bo *bo) { return bo->stride; }

#ifndef OLD
uint64_t gbm_bo_get_modifier(struct gbm_bo *bo) { return bo->modifier; }
int gbm_bo_get_plane_count(struct gbm_bo *bo) { (void)bo; return 1; }
uint32_t gbm_bo_get_stride_for_plane(struct gbm_bo *bo, int plane) { (void)plane; return bo->stride; }
uint32_t gbm_bo_get_offset(struct gbm_bo *bo, int plane) { (void)bo; (void)plane; return 0; }
int gbm_bo_get_fd_for_plane(struct gbm_bo *bo, int plane) { (void)plane; return dup(bo->fd); }

struct gbm_bo *gbm_bo_create_with_modifiers2(struct gbm_device *device, uint32_t width, uint32_t height, uint32_t format, const uint64_t *modifiers, unsigned count, uint32_t flags)
{
    (void)format;
    (void)flags;
    for (unsigned i = 0; i < count; i++) {
        if (modifiers[i] == 0 || modifiers[i] == X_TILED)
            return make(device, width, height, modifiers[i]);
        if (modifiers[i] == FOUR_TILED)
            return make(device, width, height, 0);
    }
    errno = EOPNOTSUPP;
    return NULL;
}
#endif
