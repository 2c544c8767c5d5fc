// SPDX-License-Identifier: Apache-2.0
/*
 * Sends a frame from a file so that only its Ethernet header is in the linear part of the packet:
 * the rest lies in page fragments, which a frame shorter than a page cannot be made to do.
 * Usage: send-paged DEVICE FILE
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int main(int argc, char **argv)
{
	static char frame[65536];
	struct virtio_net_hdr header = {.hdr_len = ETH_HLEN};
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = ETH_ALEN};
	FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
	size_t length = file ? fread(frame, 1, sizeof(frame), file) : 0;
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
	struct iovec parts[] = {{&header, sizeof(header)}, {frame, length}};
	struct msghdr message = {.msg_name = &to,
				 .msg_namelen = sizeof(to),
				 .msg_iov = parts,
				 .msg_iovlen = 2};

	if (length < ETH_HLEN || fd < 0)
		return 2;
	to.sll_ifindex = if_nametoindex(argv[1]);
	memcpy(&to.sll_protocol, frame + 12, 2);
	memcpy(to.sll_addr, frame, ETH_ALEN);
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    sendmsg(fd, &message, 0) < 0) {
		perror("send-paged");
		return 1;
	}
	return 0;
}
