/* libx264 alone: codes ready I420 pictures from memory and says how long each
 * took. It is what Scanout's whole path is measured against.
 *
 * Usage: x264_peer WIDTH HEIGHT FPS FRAMES INPUT.i420 OUTPUT.h264 [NAME=VALUE...]
 *
 * NAME=VALUE are options of x264's own command line, applied in order after
 * preset=NAME and tune=NAME. Prints one JSON object: wall and CPU seconds,
 * access units, bytes, and milliseconds of each picture. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <x264.h>

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int fail(const char *what, const char *detail)
{
    fprintf(stderr, "x264_peer: %s: %s\n", what, detail);
    return 1;
}

static int number(const char *text, int min, int max, int *value)
{
    char *end;
    long parsed = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || parsed < min || parsed > max)
        return fail("a number out of range", text);
    *value = (int)parsed;
    return 0;
}

static const char *option(int argc, char **argv, const char *name)
{
    size_t length = strlen(name);
    for (int i = 7; i < argc; i++)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            return argv[i] + length + 1;
    return NULL;
}

int main(int argc, char **argv)
{
    int width, height, fps, frames;
    if (argc < 7)
        return fail("usage", "WIDTH HEIGHT FPS FRAMES INPUT OUTPUT [NAME=VALUE...]");
    if (number(argv[1], 2, 16384, &width) || number(argv[2], 2, 16384, &height) ||
        number(argv[3], 1, 1000, &fps) || number(argv[4], 1, 100000, &frames))
        return 2;

    size_t luma = (size_t)width * (size_t)height;
    size_t chroma = (size_t)((width + 1) / 2) * (size_t)((height + 1) / 2);
    size_t picture_bytes = luma + 2 * chroma;
    uint8_t *input = malloc(picture_bytes * (size_t)frames);
    double *times_ms = calloc((size_t)frames, sizeof *times_ms);
    FILE *file = fopen(argv[5], "rb");
    if (!input || !times_ms)
        return fail("out of memory", argv[4]);
    if (!file || fread(input, picture_bytes, (size_t)frames, file) != (size_t)frames)
        return fail("cannot read all pictures", argv[5]);
    fclose(file);

    x264_param_t param;
    const char *preset = option(argc, argv, "preset");
    const char *tune = option(argc, argv, "tune");
    if (x264_param_default_preset(&param, preset ? preset : "medium", tune) < 0)
        return fail("no such preset or tune", preset ? preset : "");
    param.i_width = width;
    param.i_height = height;
    param.i_csp = X264_CSP_I420;
    param.i_fps_num = (uint32_t)fps;
    param.i_fps_den = 1;
    param.i_timebase_num = 1;
    param.i_timebase_den = (uint32_t)fps;
    param.b_vfr_input = 0;
    param.b_annexb = 1;
    param.b_repeat_headers = 1;
    param.i_log_level = X264_LOG_ERROR;
    for (int i = 7; i < argc; i++) {
        char name[64];
        const char *equals = strchr(argv[i], '=');
        if (!equals || (size_t)(equals - argv[i]) >= sizeof name)
            return fail("not NAME=VALUE", argv[i]);
        memcpy(name, argv[i], (size_t)(equals - argv[i]));
        name[equals - argv[i]] = '\0';
        if (strcmp(name, "preset") == 0 || strcmp(name, "tune") == 0)
            continue;
        if (x264_param_parse(&param, name, equals + 1) != 0)
            return fail("x264 refuses", argv[i]);
    }
    x264_t *encoder = x264_encoder_open(&param);
    if (!encoder)
        return fail("x264_encoder_open", "refused");
    FILE *output = fopen(argv[6], "wb");
    if (!output)
        return fail("cannot write", argv[6]);

    uint64_t bytes = 0;
    int access_units = 0;
    int submitted = 0;
    double wall = seconds(CLOCK_MONOTONIC);
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (submitted < frames || x264_encoder_delayed_frames(encoder) > 0) {
        x264_picture_t in, out;
        x264_nal_t *nals;
        int nal_count;
        x264_picture_init(&in);
        if (submitted < frames) {
            uint8_t *start = input + picture_bytes * (size_t)submitted;
            in.img.i_csp = X264_CSP_I420;
            in.img.i_plane = 3;
            in.img.plane[0] = start;
            in.img.plane[1] = start + luma;
            in.img.plane[2] = start + luma + chroma;
            in.img.i_stride[0] = width;
            in.img.i_stride[1] = in.img.i_stride[2] = (width + 1) / 2;
            in.i_pts = submitted;
        }
        double began = seconds(CLOCK_MONOTONIC);
        int size = x264_encoder_encode(encoder, &nals, &nal_count, submitted < frames ? &in : NULL, &out);
        if (size < 0)
            return fail("x264_encoder_encode", "failed");
        if (submitted < frames)
            times_ms[submitted++] = (seconds(CLOCK_MONOTONIC) - began) * 1e3;
        if (size > 0) {
            access_units++;
            bytes += (uint64_t)size;
            fwrite(nals[0].p_payload, 1, (size_t)size, output);
        }
    }
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    x264_encoder_close(encoder);
    if (fclose(output) != 0)
        return fail("cannot write", argv[6]);

    printf("{\"wall_s\":%.6f,\"cpu_s\":%.6f,\"access_units\":%d,\"bytes\":%" PRIu64 ",\"frame_ms\":[",
           wall, cpu, access_units, bytes);
    for (int i = 0; i < frames; i++)
        printf("%s%.4f", i ? "," : "", times_ms[i]);
    printf("]}\n");
    free(times_ms);
    free(input);
    return 0;
}
